"""Views that receive webhooks, as a user's other service would have them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from webhook_delivery import WebhookRequest, receives
from webhook_delivery.receiving import Webhook

heard: list[Webhook] = []
"""What the views were given."""
acts: list[Callable[[], HttpResponse | None]] = []
"""What they do with it, in turn; then they answer 204."""
lock = threading.Lock()

TENANTS = {"acme": "WEBHOOK_SECRETS_OF_ACME", "globex": "WEBHOOK_SECRETS_OF_GLOBEX"}


def hear(request: WebhookRequest) -> HttpResponse:
    with lock:
        heard.append(request.webhook)
        act = acts.pop(0) if acts else (lambda: None)
    return act() or HttpResponse(status=204)


def secrets_of(request: HttpRequest) -> list[str]:
    from django.conf import settings

    tenant = request.headers.get("x-tenant", "")
    return getattr(settings, TENANTS.get(tenant, "NOBODY"), [])


@receives("WEBHOOK_SECRETS")
def hook(request: WebhookRequest) -> HttpResponse:
    return hear(request)


@receives("WEBHOOK_SECRETS", prefix="svix-", replay=None, tolerance=float("inf"))
def svix(request: WebhookRequest) -> HttpResponse:
    return hear(request)


@receives(secrets_of, max_bytes=1000)
def tenants(request: WebhookRequest) -> HttpResponse:
    return hear(request)


@receives("WEBHOOK_SECRETS")
async def asynchronous(request: WebhookRequest) -> HttpResponse:
    return hear(request)


@method_decorator(receives("WEBHOOK_SECRETS"), name="dispatch")
class Hook(View):
    def post(self, request: WebhookRequest, **kwargs: Any) -> HttpResponse:
        return hear(request)


class AsynchronousHook(View):
    async def post(self, request: WebhookRequest) -> HttpResponse:
        return hear(request)


urlpatterns = [
    path("hook", hook),
    path("svix", svix),
    path("tenants", tenants),
    path("async", asynchronous),
    path("class", Hook.as_view()),
    path("async-class", receives("WEBHOOK_SECRETS")(AsynchronousHook.as_view())),
    path("unset", receives("NO_SUCH_SETTING")(hear)),
    path("malformed", receives(["whsec_?"])(hear)),
    path("no-cache", receives("WEBHOOK_SECRETS", replay="nowhere")(hear)),
]
