"""The page that Prometheus scrapes: for who has the token, or may see all deliveries there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.db import router
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from webhook_delivery.conf import settings
from webhook_delivery.metrics.families import Rows
from webhook_delivery.models import Delivery
from webhook_delivery.tenancy import tenants_of

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

PERMISSION = "webhook_delivery.view_delivery"


@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """
    Say what the rows say now, in Prometheus' text format, or in OpenMetrics if that is asked for.

    Who shows `METRICS_TOKEN` as a bearer token may ask, and users of the staff who may view
    deliveries, of all tenants. Others are refused: with 401 if there is a token to show, else with
    403.
    """
    if not (_has_token(request) or _may_look(request)):
        return _refusal()
    registry = CollectorRegistry()
    registry.register(cast("Collector", Rows(router.db_for_read(Delivery))))
    return _written(registry, request.headers.get("accept", ""))


@sensitive_variables()
def _has_token(request: HttpRequest) -> bool:
    token: str = settings.METRICS_TOKEN or ""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(shown, token)


def _may_look(request: HttpRequest) -> bool:
    """Whoever sees some tenants only would see the sums of all of them here."""
    user = getattr(request, "user", None)
    may_view = user and user.is_active and user.is_staff and user.has_perm(PERMISSION)
    return bool(may_view) and tenants_of(request) is None


def _refusal() -> HttpResponse:
    if not settings.METRICS_TOKEN:
        return HttpResponse("For the staff only.\n", status=403, content_type="text/plain")
    refusal = HttpResponse("A token is needed.\n", status=401, content_type="text/plain")
    refusal["www-authenticate"] = 'Bearer realm="webhook_delivery"'
    return refusal


def _written(registry: CollectorRegistry, accepted: str) -> HttpResponse:
    try:
        encode, content_type = choose_encoder(accepted)
    except (ValueError, TypeError):  # it names a version that is none
        encode, content_type = choose_encoder("")
    return HttpResponse(encode(registry), content_type=content_type)
