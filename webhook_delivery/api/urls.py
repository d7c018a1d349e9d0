"""Where the API is: `path("webhooks/api/", include("webhook_delivery.api.urls"))`."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path

try:
    import django_filters  # noqa: F401 - these three are the extra
    import drf_spectacular  # noqa: F401
    import rest_framework  # noqa: F401
except ImportError as error:
    raise ImproperlyConfigured(
        f"The API needs {error.name}: pip install 'django-webhook-delivery[api]'."
    ) from error

from rest_framework.routers import SimpleRouter

from webhook_delivery.api.attempts import AttemptView
from webhook_delivery.api.base import View
from webhook_delivery.api.deliveries import DeliveryView
from webhook_delivery.api.endpoints import EndpointView
from webhook_delivery.api.events import EventView
from webhook_delivery.api.facts import ConfigView, HealthView
from webhook_delivery.api.groups import GroupView
from webhook_delivery.api.redeliveries import RedeliveryView
from webhook_delivery.api.retries import RetryView
from webhook_delivery.api.schema import SchemaView
from webhook_delivery.locking import outside

app_name = "webhook_delivery_api"

LISTED = [AttemptView, DeliveryView, EndpointView, EventView, GroupView, RedeliveryView, RetryView]
SINGLE: list[type[View]] = [ConfigView, HealthView, SchemaView]

router = SimpleRouter()
for each in LISTED:
    router.register(each.resource, each, basename=each.resource)


def _without_transaction(pattern: URLPattern) -> URLPattern:
    """A drain would send inside of one."""
    pattern.callback = outside(pattern.callback)
    return pattern


def _patterns() -> Iterator[URLPattern]:
    yield from (pattern for pattern in router.urls if isinstance(pattern, URLPattern))
    for each in SINGLE:
        yield path(f"{each.resource}/", each.as_view({"get": "retrieve"}), name=each.resource)


urlpatterns = [_without_transaction(pattern) for pattern in _patterns()]
