"""Lets a test send to this machine, as production must not."""

from __future__ import annotations

from django.conf import settings
from django.test import override_settings


def loopback_permitted() -> override_settings:
    """Return what lets endpoints be on this machine, as a context manager or a decorator."""
    own = dict(getattr(settings, "WEBHOOK_DELIVERY", {}))
    networks = [*own.get("ALLOWED_NETWORKS", ()), "127.0.0.0/8"]
    opened = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": networks, "ALLOWED_PORTS": ()}
    return override_settings(WEBHOOK_DELIVERY={**own, **opened, "EGRESS_PROXY": None})
