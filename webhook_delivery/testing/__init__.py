"""
What a user's own tests need: assertions, a transport in memory, a receiver, golden vectors.

Nothing of it is imported by the app. Start with `docs/testing.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webhook_delivery.outcomes import Fault
    from webhook_delivery.testing.arriving import incoming
    from webhook_delivery.testing.golden import Vector, vectors
    from webhook_delivery.testing.memory import Request
    from webhook_delivery.testing.mixin import WebhooksMixin
    from webhook_delivery.testing.permitting import loopback_permitted
    from webhook_delivery.testing.published import Published
    from webhook_delivery.testing.receiver import SILENCE, Received, Receiver
    from webhook_delivery.testing.replies import Reply
    from webhook_delivery.testing.webhooks import Webhooks

__all__ = [
    "SILENCE",
    "Fault",
    "Published",
    "Received",
    "Receiver",
    "Reply",
    "Request",
    "Vector",
    "Webhooks",
    "WebhooksMixin",
    "incoming",
    "loopback_permitted",
    "vectors",
]

_HOMES = {
    "SILENCE": "webhook_delivery.testing.receiver",
    "Fault": "webhook_delivery.outcomes",
    "Published": "webhook_delivery.testing.published",
    "Received": "webhook_delivery.testing.receiver",
    "Receiver": "webhook_delivery.testing.receiver",
    "Reply": "webhook_delivery.testing.replies",
    "Request": "webhook_delivery.testing.memory",
    "Vector": "webhook_delivery.testing.golden",
    "Webhooks": "webhook_delivery.testing.webhooks",
    "WebhooksMixin": "webhook_delivery.testing.mixin",
    "incoming": "webhook_delivery.testing.arriving",
    "loopback_permitted": "webhook_delivery.testing.permitting",
    "vectors": "webhook_delivery.testing.golden",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: pytest loads the plugin before Django is ready."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
