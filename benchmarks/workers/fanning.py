"""Publishes what makes many rows: one event for many endpoints, or many events at once."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management import call_command

import webhook_delivery
from benchmarks.workers.counting import Statements
from webhook_delivery.models import Delivery, Endpoint, Subscription

URL = "http://127.0.0.1:9/never-sent"
BODY = {"number": 7, "padding": "x" * 900}


def prepare(*, what: str, rows: int) -> Callable[[], Mapping[str, Any]]:
    """`what`: "endpoints", one event for so many; or "events", so many for one endpoint."""
    call_command("flush", interactive=False, verbosity=0)
    _hear(rows if what == "endpoints" else 1)
    act = {"endpoints": _one_event, "events": _many_events}[what]
    statements = Statements()
    before = _peak_mb()

    def publish() -> Mapping[str, Any]:
        statements.take()
        act(rows)
        taken = statements.take()
        return {"statements": taken, "grown_mb": _peak_mb() - before, "rows": _written()}

    return publish


def _hear(count: int) -> None:
    made = [Endpoint(name=f"e{number}", url=URL) for number in range(count)]
    endpoints = Endpoint.objects.bulk_create(made, batch_size=500)
    Subscription.objects.bulk_create(
        [Subscription(endpoint=endpoint, pattern="bench.all") for endpoint in endpoints],
        batch_size=500,
    )


def _one_event(rows: int) -> None:
    webhook_delivery.publish("bench.all", BODY)


def _many_events(rows: int) -> None:
    event = webhook_delivery.NewEvent("bench.all", BODY)
    webhook_delivery.publish_many(event for _ in range(rows))


def _written() -> int:
    return Delivery.objects.count()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
