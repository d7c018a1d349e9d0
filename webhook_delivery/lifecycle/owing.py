"""Writes what is owed: a delivery is born pending, or held while its endpoint is paused."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import NamedTuple

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from webhook_delivery.clock import Now
from webhook_delivery.lifecycle.changing import CHUNK
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Event

BATCH = 1000
"""How many deliveries one statement writes at most; on SQLite, Django makes several of it."""
ON, PAUSED = Endpoint.State.ON.value, Endpoint.State.PAUSED.value


class Owed(NamedTuple):
    """An event owed to an endpoint that is in this state, since a moment of database time."""

    event: uuid.UUID
    event_type: str
    endpoint: int
    state: str
    moment: datetime | Now
    sequence: int | None = None
    format: str = Endpoint.Format.STANDARD.value
    not_before: datetime | None = None
    """Of an event that is to be delivered later."""


def owe(owed: Iterable[Owed], *, using: str, trigger: str = Delivery.Trigger.SCHEDULE.value) -> int:
    """
    Write a delivery of each: due if its endpoint is on, held if paused, none if off.

    Returns how many are due, now or later. Of an iterator, no more than one statement's rows are
    in memory.
    """
    rows = (_born(one, trigger) for one in owed if one.state in (ON, PAUSED))
    return sum(_write(batch, using) for batch in _batches(rows))


def name_types(*, using: str) -> int:
    """
    Give what was written without the type of its event that type: who had not been upgraded yet
    knew of no such column.

    Returns how many; what has lost its event stays as it is.
    """
    nameless = Delivery.objects.using(using).filter(event_type="")
    named = last = 0
    while ids := list(_next_keys(nameless, last)):
        named += insist(partial(_name, nameless.filter(pk__in=ids)), using=using)
        last = ids[-1]
    return named


def _next_keys(rows: DeliveryQuerySet, last: int) -> QuerySet[Delivery, int]:
    """Behind the last: who begins anew each time reads all that was changed before, again."""
    return rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK]


def _name(rows: DeliveryQuerySet) -> int:
    typed = Event.objects.using(rows.db).filter(pk=OuterRef("event_id"), event_type__gt="")
    return rows.filter(Exists(typed)).update(event_type=Subquery(typed.values("event_type")))


def _born(owed: Owed, trigger: str) -> Delivery:
    """The moment is a value and no `Now()`: only of values does PostgreSQL insert whole columns."""
    on = owed.state == ON
    return Delivery(
        event_id=owed.event,
        event_type=owed.event_type,
        endpoint_id=owed.endpoint,
        state=(Delivery.State.PENDING if on else Delivery.State.HELD).value,
        due_at=_due_at(owed) if on else None,
        trigger=trigger,
        sequence=owed.sequence,
        format=owed.format,
        created_at=owed.moment,
    )


def _due_at(owed: Owed) -> datetime | Now:
    if owed.not_before is None or isinstance(owed.moment, Now):
        return owed.moment
    return max(owed.moment, owed.not_before)


def _batches(rows: Iterator[Delivery]) -> Iterator[list[Delivery]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _write(batch: list[Delivery], using: str) -> int:
    Delivery.objects.using(using).bulk_create(batch)
    return sum(row.due_at is not None for row in batch)
