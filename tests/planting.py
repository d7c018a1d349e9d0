"""Deliveries with a past, made without living it, and faults planted in their rows and logs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Model

from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Transition

BORN = datetime(2026, 11, 1, tzinfo=UTC)
FAR = datetime(2200, 1, 1, tzinfo=UTC)

PASTS: dict[str, list[str]] = {
    "new": [],
    "waiting": ["retry"],
    "held": ["retry"],
    "sending": ["retry"],
    "delivered": ["retry", "delivered"],
    "dead": ["dead"],
    "discarded": ["dead", "discard"],
    "redelivered": ["dead", "redeliver"],
    "delivered again": ["dead", "redeliver", "retry", "delivered"],
    "deferred": ["retry", "deferred"],
}
"""What has happened to a delivery of each kind."""
FOUND = {
    "retry": (503, "http_5xx"),
    "deferred": (None, "secret"),
    "delivered": (200, ""),
    "dead": (503, "http_5xx"),
}
"""The status and the fault of an attempt with each verdict."""


@dataclass
class Life:
    """A row and its log, written by hand: so that `history` is not tested by itself."""

    delivery: Delivery
    log: list[Attempt | Transition]


def live(kind: str, pk: int, event: Event, endpoint: Endpoint) -> Life:
    """Make, without saving, a delivery of a kind, with its log."""
    row = Delivery(pk=pk, event=event, endpoint=endpoint, created_at=BORN, due_at=BORN)
    row.event_type = event.event_type
    life = Life(row, [])
    for minute, what in enumerate(PASTS[kind], 1):
        _go_on(life, what, BORN + timedelta(minutes=minute))
    if kind == "held":
        row.state, row.due_at = "held", None
    elif kind == "sending":
        row.state, row.claim, row.attempts_made = "sending", uuid.uuid4(), row.attempts_made + 1
        row.due_at = datetime.now(UTC) + timedelta(minutes=10)
    return life


def _go_on(life: Life, what: str, at: datetime) -> None:
    row, due = life.delivery, at + timedelta(minutes=5)
    if what in FOUND:
        row.attempts_made += 1
        row.attempts_forgiven += what == "deferred"
        row.last_status, row.reason = FOUND[what]
        waits = what in ("retry", "deferred")
        row.state = "pending" if waits else what
        row.due_at = due if waits else None
        row.ended_at = None if waits else at + timedelta(milliseconds=7)
        life.log.append(
            Attempt(
                delivery_id=row.pk,
                number=row.attempts_made,
                trigger=row.trigger,
                started_at=at,
                duration_ms=7,
                status=row.last_status,
                fault=row.reason,
                verdict=what,
                next_due_at=row.due_at,
            )
        )
        return
    life.log.append(Transition(delivery_id=row.pk, after=row.attempts_made, verb=what, at=at))
    if what == "redeliver":
        row.state, row.due_at, row.ended_at = "pending", at, None
        row.attempts_forgiven, row.trigger = row.attempts_made, "redelivery"
    else:
        row.state = "discarded"


def write(*kinds: str) -> None:
    """Save one delivery of each kind, numbered from 1, all of one event."""
    event = Event.objects.create(event_type="order.created", body=b"{}")
    endpoints = [_endpoint("paused" if kind == "held" else "on") for kind in kinds]
    endpoints = Endpoint.objects.bulk_create(endpoints)
    lives = [live(kind, pk, event, endpoints[pk - 1]) for pk, kind in enumerate(kinds, 1)]
    log = [entry for life in lives for entry in life.log]
    Delivery.objects.bulk_create([life.delivery for life in lives])
    Attempt.objects.bulk_create([entry for entry in log if isinstance(entry, Attempt)])
    Transition.objects.bulk_create([entry for entry in log if isinstance(entry, Transition)])


def _endpoint(state: str) -> Endpoint:
    return Endpoint(name=state, url="https://receiver.example/", state=state)


def multiply(block: int, times: int) -> None:
    """Copy the first deliveries and their logs, so many, until there are so many of each."""
    for offset in range(block, block * times, block):
        event = Event.objects.create(event_type="order.created", body=b"{}")
        _copy(Delivery, block, id=f"id + {offset}", event_id=f"'{_key(event)}'")
        _copy(Attempt, block, id="", delivery_id=f"delivery_id + {offset}")
        _copy(Transition, block, id="", delivery_id=f"delivery_id + {offset}")


def _copy(model: type[Model], block: int, **changed: str) -> None:
    """Insert the rows again, with some columns changed; the database numbers them, if told to."""
    columns = {field.column: field.column for field in model._meta.concrete_fields}
    columns = {name: said for name, said in (columns | changed).items() if said}
    names = ", ".join(map(connection.ops.quote_name, columns))
    values = ", ".join(
        connection.ops.quote_name(said) if name == said else said for name, said in columns.items()
    )
    table, whose = model._meta.db_table, "id" if model is Delivery else "delivery_id"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {whose} <= {block}"
        )


def _key(event: Event) -> str:
    return str(Event._meta.pk.get_db_prep_value(event.pk, connection))


# ── faults

Plant = Callable[[int], object]


@dataclass(frozen=True)
class Planted:
    """A fault in a delivery of some kind, what of it must be found, and where it then stands."""

    name: str
    kind: str
    plant: Plant
    finds: frozenset[str]
    stands: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def row(**columns: Any) -> Plant:
    return lambda pk: Delivery.objects.filter(pk=pk).update(**columns)


def without_attempt(*numbers: int) -> Plant:
    return lambda pk: Attempt.objects.filter(delivery=pk, number__in=numbers).delete()


def without_transition(pk: int) -> None:
    Transition.objects.filter(delivery=pk).delete()


def without_log(pk: int) -> None:
    without_transition(pk)
    Attempt.objects.filter(delivery=pk).delete()


def _planted(name: str, kind: str, plant: Plant, finds: str, stands: str) -> Planted:
    return Planted(name, kind, plant, frozenset(finds.split(", ")), stands)


TOKEN = uuid.UUID(int=7)
DUE = BORN + timedelta(minutes=6)

PLANTED = [
    _planted("said to be delivered", "waiting", row(state="delivered"), "state", "pending"),
    _planted("said to be dead", "waiting", row(state="dead"), "state", "pending"),
    _planted("in no known state", "waiting", row(state="lost"), "state", "pending"),
    _planted("never due", "waiting", row(due_at=None), "due_at", "pending"),
    _planted("due too late", "waiting", row(due_at=FAR), "due_at", "pending"),
    _planted("attempts uncounted", "waiting", row(attempts_made=0), "attempts_made", "pending"),
    _planted("attempts made up", "waiting", row(attempts_made=7), "attempts_made", "pending"),
    _planted("claimed and not sent", "waiting", row(claim=TOKEN), "claim", "pending"),
    _planted("another reason", "waiting", row(reason="dns"), "reason", "pending"),
    _planted("another status", "waiting", row(last_status=418), "last_status", "pending"),
    _planted("another type", "waiting", row(event_type="order.lost"), "event_type", "pending"),
    _planted("another trigger", "waiting", row(trigger="redelivery"), "trigger", "pending"),
    _planted("ended too early", "waiting", row(ended_at=BORN), "ended_at", "pending"),
    _planted(
        "no record of the last attempt",
        "waiting",
        without_attempt(1),
        "attempts_made, due_at, last_status, reason",
        "pending",
    ),
    _planted(
        "a deferral counted", "deferred", row(attempts_forgiven=0), "attempts_forgiven", "pending"
    ),
    _planted("never due", "deferred", row(due_at=None), "due_at", "pending"),
    _planted("held by nobody", "new", row(state="held", due_at=None), "state", "pending"),
    _planted("said to wait", "delivered", row(state="pending"), "state", "delivered"),
    _planted("said to be held", "delivered", row(state="held"), "state", "delivered"),
    _planted("said to be sent", "delivered", row(state="sending"), "state", "delivered"),
    _planted("ended at no time", "delivered", row(ended_at=None), "ended_at", "delivered"),
    _planted("due", "delivered", row(due_at=BORN), "due_at", "delivered"),
    _planted(
        "forgiven too much", "delivered", row(attempts_forgiven=1), "attempts_forgiven", "delivered"
    ),
    _planted("a gap in the log", "delivered", without_attempt(1), "attempt 1", "delivered"),
    _planted("no record of success", "delivered", without_attempt(2), "attempt 2", "delivered"),
    _planted("no log", "delivered", without_attempt(1, 2), "attempt 1, attempt 2", "delivered"),
    _planted(
        "no record of redelivery",
        "delivered again",
        without_transition,
        "redeliver after attempt 1",
        "delivered",
    ),
    _planted("no record of death", "dead", without_attempt(1), "attempt 1", "dead"),
    _planted("said to be discarded", "dead", row(state="discarded"), "state", "dead"),
    _planted("no record of death", "discarded", without_attempt(1), "attempt 1", "discarded"),
    _planted("no log", "discarded", without_log, "attempt 1, discard after attempt 1", "discarded"),
    _planted("nobody discarded it", "discarded", without_transition, "state", "dead"),
    _planted(
        "nobody redelivered it",
        "redelivered",
        without_transition,
        "state, due_at, trigger, attempts_forgiven, ended_at",
        "dead",
    ),
    _planted("claimed by nobody", "sending", row(claim=None), "claim", "sending"),
    _planted("its lease has no end", "sending", row(due_at=None), "due_at", "sending"),
    _planted("its lease never ends", "sending", row(due_at=FAR), "due_at", "sending"),
    _planted("uncounted", "sending", row(attempts_made=1), "attempts_made", "sending"),
    _planted(
        "a gap in the log",
        "sending",
        without_attempt(1),
        "attempts_made, last_status, reason",
        "sending",
    ),
    _planted(
        "not held with its endpoint", "held", row(state="pending", due_at=DUE), "state", "held"
    ),
]
