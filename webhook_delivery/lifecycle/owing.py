"""Writes what is owed: a delivery is born pending, or held while its endpoint is paused."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Endpoint

BATCH = 1000
"""How many deliveries one statement writes at most; on SQLite, Django makes several of it."""
ON, PAUSED = Endpoint.State.ON.value, Endpoint.State.PAUSED.value


class Owed(NamedTuple):
    """An event owed to an endpoint that is in this state, since a moment of database time."""

    event: uuid.UUID
    endpoint: int
    state: str
    moment: datetime | Now
    sequence: int | None = None
    format: str = Endpoint.Format.STANDARD.value


def owe(owed: Iterable[Owed], *, using: str, trigger: str = Delivery.Trigger.SCHEDULE.value) -> int:
    """
    Write a delivery of each: due now if its endpoint is on, held if paused, none if off.

    Returns how many are due. Of an iterator, no more than one statement's rows are in memory.
    """
    rows = (_born(one, trigger) for one in owed if one.state in (ON, PAUSED))
    return sum(_write(batch, using) for batch in _batches(rows))


def _born(owed: Owed, trigger: str) -> Delivery:
    """The moment is a value and no `Now()`: only of values does PostgreSQL insert whole columns."""
    on = owed.state == ON
    return Delivery(
        event_id=owed.event,
        endpoint_id=owed.endpoint,
        state=(Delivery.State.PENDING if on else Delivery.State.HELD).value,
        due_at=owed.moment if on else None,
        trigger=trigger,
        sequence=owed.sequence,
        format=owed.format,
        created_at=owed.moment,
    )


def _batches(rows: Iterator[Delivery]) -> Iterator[list[Delivery]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _write(batch: list[Delivery], using: str) -> int:
    Delivery.objects.using(using).bulk_create(batch)
    return sum(row.due_at is not None for row in batch)
