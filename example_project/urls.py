"""The shop's pages, the admin, and the API for an operator's own tools."""

from django.contrib import admin
from django.urls import include, path

from example_project.shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("webhooks/api/", include("webhook_delivery.api.urls")),
    path("orders/<int:number>/", views.order, name="order"),
    path("orders/<int:number>/call-back/", views.call_back, name="call-back"),
    path("metrics/webhooks", include("webhook_delivery.metrics.urls")),
    path("hooks/supplier/", views.hear_supplier, name="hear-supplier"),
]
