"""Reads deliveries together with their logs, batch by batch, and adds to a log what it lacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from webhook_delivery.clock import Now
from webhook_delivery.history import Attempted, Birth, Entry, Moved, in_order
from webhook_delivery.models import (
    Attempt,
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    Event,
    Transition,
)

BATCH = 500
"""How many deliveries are read at once."""

ATTEMPT = (
    "number",
    "trigger",
    "started_at",
    "verdict",
    "duration_ms",
    "status",
    "fault",
    "detail",
    "next_due_at",
)
"""The columns of an attempt, as `Attempted` has them; the excerpt is read only for a copy."""

Told = Callable[[int], None]
"""Is told how many more deliveries have been looked at."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A delivery's row with its log, in the order of the fold."""

    row: Delivery
    log: tuple[Entry, ...]

    @property
    def birth(self) -> Birth:
        return Birth(self.row.created_at, self.row.trigger, vars(self.row)["deliver_at"])

    @property
    def now(self) -> datetime:
        """When it was read, by the database's clock."""
        now: datetime = vars(self.row)["now"]
        return now

    @property
    def endpoint_state(self) -> str | None:
        """None if the endpoint is gone."""
        state: str | None = vars(self.row)["endpoint_state"]
        return state

    @property
    def on(self) -> bool:
        return self.endpoint_state == Endpoint.State.ON

    @property
    def event_type(self) -> str | None:
        """None if the event is gone."""
        event_type: str | None = vars(self.row)["type_of_event"]
        return event_type

    @property
    def key(self) -> str | None:
        """The event's ordering key; None if the event is gone."""
        key: str | None = vars(self.row)["key"]
        return key


def batches(deliveries: DeliveryQuerySet, *, excerpts: bool = False) -> Iterator[list[Recorded]]:
    """Walk through the deliveries by their number, a batch at a time."""
    last = 0
    while batch := read(deliveries.filter(pk__gt=last).order_by("pk"), excerpts=excerpts):
        yield batch
        last = batch[-1].row.pk


def read(deliveries: DeliveryQuerySet, *, excerpts: bool = False) -> list[Recorded]:
    """Read one batch: the rows first, so that their logs may know more but never less."""
    using = deliveries.db
    rows = list(_annotated(deliveries)[:BATCH])
    ids = [row.pk for row in rows]
    attempts, transitions = _attempts(ids, using, excerpts), _transitions(ids, using)
    return [Recorded(row, tuple(in_order(attempts[row.pk], transitions[row.pk]))) for row in rows]


def read_locked(delivery: int, *, using: str) -> Recorded | None:
    """Read one delivery that nobody can change before the transaction ends; None if it is gone."""
    rows = Delivery.objects.using(using).filter(pk=delivery)
    if not list(rows.select_for_update().values_list("pk")):
        return None
    return next(iter(read(rows)), None)


def add(delivery: int, entries: Iterable[Entry], *, using: str) -> None:
    """Add to the log of a delivery; what it holds is never changed."""
    entries = list(entries)
    attempts = [entry for entry in entries if isinstance(entry, Attempted)]
    moves = [entry for entry in entries if isinstance(entry, Moved)]
    Attempt.objects.using(using).bulk_create(attempt_row(delivery, each) for each in attempts)
    Transition.objects.using(using).bulk_create(transition_row(delivery, each) for each in moves)


def attempt_row(delivery: int, entry: Attempted) -> Attempt:
    columns = {name: getattr(entry, name) for name in ATTEMPT}
    return Attempt(delivery_id=delivery, excerpt=entry.excerpt, **columns)


def transition_row(delivery: int, entry: Moved) -> Transition:
    return Transition(delivery_id=delivery, after=entry.after, verb=entry.verb, at=entry.at)


def _annotated(deliveries: DeliveryQuerySet) -> DeliveryQuerySet:
    using = deliveries.db
    endpoint = Endpoint.objects.using(using).filter(pk=OuterRef("endpoint_id"))
    event = Event.objects.using(using).filter(pk=OuterRef("event_id"))
    return deliveries.annotate(
        now=Now(),
        endpoint_state=Subquery(endpoint.values("state")),
        type_of_event=Subquery(event.values("event_type")),
        key=Subquery(event.values("key")),
        deliver_at=Subquery(event.values("deliver_at")),
    )


def _attempts(ids: Sequence[int], using: str, excerpts: bool) -> dict[int, list[Attempted]]:
    columns = (*ATTEMPT, "excerpt") if excerpts else ATTEMPT
    rows = Attempt.objects.using(using).filter(delivery__in=ids).order_by()
    logs: dict[int, list[Attempted]] = defaultdict(list)
    for delivery, *values in rows.values_list("delivery", *columns):
        if excerpts:
            values[-1] = bytes(values[-1])
        logs[delivery].append(Attempted(*values))
    return logs


def _transitions(ids: Sequence[int], using: str) -> dict[int, list[Moved]]:
    rows = Transition.objects.using(using).filter(delivery__in=ids).order_by("pk")
    logs: dict[int, list[Moved]] = defaultdict(list)
    for delivery, after, verb, at in rows.values_list("delivery", "after", "verb", "at"):
        logs[delivery].append(Moved(after, verb, at))
    return logs
