"""Makes a database as a scenario wants it: endpoints, a backlog that is due, and old rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction

import webhook_delivery
from benchmarks.workers import WAKE
from benchmarks.workers.multiplying import multiply
from webhook_delivery import publish
from webhook_delivery.models import Endpoint, Event, Secret
from webhook_delivery.signing import generate_secret

AT_ONCE = 500
"""How many events one transaction publishes."""


def prepare(
    *,
    urls: list[str],
    fresh: bool = True,
    wake: str = "",
    events: int = 0,
    body_bytes: int = 1024,
    schedules: list[list[float]] | None = None,
    owed: int = 0,
) -> Callable[[], Mapping[str, Any]]:
    """
    Each endpoint hears `bench.all`, the shop's orders, and an event type of its own.

    fresh: begin with an empty database; else publish to the endpoints that it has.
    wake: a URL that hears only `bench.wake`.
    events: so many, which go round the endpoints.
    schedules: of retries, one for each URL.
    owed: so many deliveries are due to the first endpoint, besides.
    """

    def fill() -> Mapping[str, Any]:
        if fresh:
            call_command("flush", interactive=False, verbosity=0)
            for number, url in enumerate(urls):
                heard = ("bench.all", "order.*", f"bench.e{number}")
                _endpoint(url, schedules[number] if schedules else None, *heard)
            if wake:
                _endpoint(wake, None, WAKE)
            _analyze()
        _publish([f"bench.e{number % len(urls)}" for number in range(events)], b"x" * body_bytes)
        if owed:
            _owe(owed, b"x" * body_bytes)
        if events or owed:
            _analyze()
        return {}

    return fill


def _endpoint(url: str, schedule: list[float] | None, *heard: str) -> None:
    endpoint = Endpoint.objects.create(name=heard[-1], url=url, retry_schedule=schedule)
    endpoint.subscribe(*heard)
    Secret.keep(endpoint, generate_secret())


def _publish(event_types: list[str], body: bytes) -> None:
    """At once, where the package can; else one by one, in a few transactions."""
    if "publish_many" in webhook_delivery.__all__:
        new = webhook_delivery.NewEvent
        webhook_delivery.publish_many(new(event_type, body) for event_type in event_types)
        return
    for begin in range(0, len(event_types), AT_ONCE):
        with transaction.atomic():
            for event_type in event_types[begin : begin + AT_ONCE]:
                publish(event_type, body)


def _owe(count: int, body: bytes) -> None:
    """Publishing them one by one would take minutes; nobody may claim the first before the rest."""
    with transaction.atomic():
        event: Event = publish("bench.e0", body)
        multiply(event, count - 1, ago="0 seconds")


def _analyze() -> None:
    """Plans must not be made for the empty tables of a moment ago; autovacuum comes too late."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("analyze")
