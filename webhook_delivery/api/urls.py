"""Where the API is: `path("webhooks/api/", include("webhook_delivery.api.urls"))`."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver

try:
    import django_filters  # noqa: F401 - these three are the extra
    import drf_spectacular  # noqa: F401
    import rest_framework  # noqa: F401
except ImportError as error:
    raise ImproperlyConfigured(
        f"The API needs {error.name}: pip install 'django-webhook-delivery[api]'."
    ) from error

from rest_framework.routers import SimpleRouter

from webhook_delivery.api.deliveries import DeliveryView
from webhook_delivery.api.retries import RetryView

app_name = "webhook_delivery_api"

router = SimpleRouter()
router.register("deliveries", DeliveryView, basename="delivery")
router.register("retries", RetryView, basename="retry")
urlpatterns: list[URLPattern | URLResolver] = [*router.urls]
