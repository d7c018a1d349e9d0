"""Deliveries that are owed, many at once, and endpoints that may be sent nothing now."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import connection

from webhook_delivery.claims import Claim
from webhook_delivery.clock import Now, elapsed
from webhook_delivery.models import Delivery, Endpoint, Event, Lane
from webhook_delivery.outcomes import Policy

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def owe(count: int, *endpoints: Endpoint, ago: float = 0, retries: bool = False) -> list[Delivery]:
    """Owe each endpoint so many deliveries, due for so many seconds; attempted before, or not."""
    events = [Event(event_type="order.paid", body=b"{}") for _ in range(count)]
    Event.objects.bulk_create(events, batch_size=500)
    due = Now() - timedelta(seconds=ago)
    owed = [
        Delivery(event=event, event_type=event.event_type, endpoint=to, due_at=due)
        for event in events
        for to in endpoints
    ]
    Delivery.objects.bulk_create(owed, batch_size=500)
    if retries:  # as if earlier attempts had been forgiven: no log is needed
        Delivery.objects.filter(event__in=events).update(attempts_made=1, attempts_forgiven=1)
    return owed


def block(*endpoints: Endpoint, seconds: float = 60, failures: int = 10, openings: int = 1) -> None:
    """Let the breakers of these endpoints be open for so long; less than none: it is over."""
    for endpoint in endpoints:
        Lane.objects.update_or_create(endpoint=endpoint)
    until = Now() + timedelta(seconds=seconds)
    lanes = Lane.objects.filter(endpoint__in=endpoints)
    lanes.update(blocked_until=until, failures=failures, openings=openings)


def end_pauses() -> None:
    """Let every breaker's time be over, and every rate's."""
    past = Now() - timedelta(days=1)
    Lane.objects.exclude(blocked_until=None).update(blocked_until=past)
    Lane.objects.exclude(paced_until=None).update(paced_until=past)


def blocked_for(endpoint: Endpoint) -> float:
    """How many seconds more nothing may be sent to it; 0 or less: something may."""
    until, now = Lane.objects.filter(pk=endpoint.pk).values_list("blocked_until", Now()).get()
    return 0.0 if until is None else float((until - now).total_seconds())


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what is said to the database meanwhile, whole transactions included."""
    said: list[str] = []

    def noted(execute: Callable, sql: str, *rest: object) -> object:
        said.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(noted):
        yield said


def claim(delivery: int, endpoint: int = 1, *, lease: float = 60, number: int = 1) -> Claim:
    """A claim without a row, for what never asks the database."""
    return Claim(
        token=uuid.uuid4(),
        delivery_id=delivery,
        number=number,
        number_in_run=number,
        trigger="schedule",
        endpoint_id=endpoint,
        url="http://127.0.0.1/",
        timeout=1.0,
        sealed_secrets=(),
        webhook_id="msg_1",
        content_type="application/json",
        body=b"{}",
        policy=Policy(schedule=[1], retry_after_cap=1),
        due_at=NOW,
        claimed_at=NOW,
        lease=lease,
        _leased=elapsed(),
    )
