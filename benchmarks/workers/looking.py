"""Looks up when the first retry of each delivery was due, by the log of its first attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from webhook_delivery.models import Attempt


def prepare() -> Callable[[], Mapping[str, Any]]:
    """By `webhook-id` and path, as the receiver knows it; seconds since the epoch."""

    def look() -> Mapping[str, Any]:
        first = Attempt.objects.filter(number=1, next_due_at__isnull=False)
        rows = first.select_related("delivery__event", "delivery__endpoint")
        return {"due": {_key(row): _seconds(row) for row in rows}}

    return look


def _key(attempt: Attempt) -> str:
    delivery = attempt.delivery
    return f"{delivery.event.webhook_id} {urlsplit(delivery.endpoint.url).path}"


def _seconds(attempt: Attempt) -> float:
    assert attempt.next_due_at is not None
    return attempt.next_due_at.timestamp()
