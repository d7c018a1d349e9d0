"""The page that Prometheus scrapes, to be included: `path("metrics/", include(…))`."""

from django.urls import path

from webhook_delivery.metrics.views import prometheus

urlpatterns = [path("", prometheus, name="webhook_delivery_metrics")]
