"""What stands around one delivery: its endpoint's lane, its neighbours, and its event's others."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, Model, Q, Subquery

from webhook_delivery.admin.text import visible
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet, Doorbell
from webhook_delivery.models.lane import end_of_pause

Link = Callable[[Model], str]
"""The address of a row's page; empty if who asks may not see it."""


@dataclass(frozen=True)
class Around:
    """What one statement tells, by the database's clock."""

    now: datetime
    failures: int | None
    """Of the endpoint, in a row; None: it was never sent anything."""
    blocked_until: datetime | None
    drained_at: datetime | None
    first_at: datetime | None
    """When the first attempt began."""
    earlier: int | None = None
    """The dead letter before this one, of those that died alike at the same endpoint."""
    later: int | None = None
    body: bytes | None = None

    @classmethod
    def of(cls, delivery: Delivery, rows: DeliveryQuerySet, *, body: bool) -> Around | None:
        """
        Look around a delivery; None if it is gone.

        rows: all that who asks may see.
        body: whether to read the event's body too.
        """
        first = Attempt.objects.filter(delivery=delivery.pk, number=1)
        read: dict[str, Any] = {
            "now": Now(),
            "failures": F("endpoint__lane__failures"),
            "blocked_until": end_of_pause("endpoint__lane__"),
            "drained_at": _first(Doorbell.objects.filter(pk=1), "drained_at"),
            "first_at": _first(first, "started_at"),
            **(_neighbours(delivery, rows) if delivery.state == Delivery.State.DEAD else {}),
            **({"body": F("event__body")} if body else {}),
        }
        own = Delivery.objects.using(rows.db).filter(pk=delivery.pk)
        found = own.annotate(**{f"around_{name}": said for name, said in read.items()})
        row = found.values_list(*(f"around_{name}" for name in read)).first()
        return row and cls(**dict(zip(read, row, strict=True)))


class Sibling(NamedTuple):
    """Another delivery of the same event."""

    delivery: Delivery
    endpoint: str
    link: str


def deliveries_of(
    event: uuid.UUID, rows: DeliveryQuerySet, link: Link, *, most: int
) -> tuple[list[Sibling], bool]:
    """Those of an event among the rows; and whether there are more than so many."""
    found = list(rows.filter(event=event).order_by("endpoint")[: most + 1])
    shown = [Sibling(each, visible(each.endpoint.name), link(each)) for each in found[:most]]
    return shown, len(found) > most


def _neighbours(delivery: Delivery, rows: DeliveryQuerySet) -> dict[str, Subquery]:
    """One failure's dead letters are next to each other in an index, in the order of their ends."""
    alike = rows.filter(
        endpoint=delivery.endpoint_id,
        state=Delivery.State.DEAD,
        reason=delivery.reason,
        last_status=delivery.last_status,
    )
    return {
        "earlier": _next(alike, delivery, "lt", "-"),
        "later": _next(alike, delivery, "gt", ""),
    }


def _next(alike: DeliveryQuerySet, delivery: Delivery, side: str, order: str) -> Subquery:
    """
    The first on one side; by number of those that ended at the same moment.

    The range leads the index to its place, and the rest leaves out those of the moment.
    """
    at = delivery.ended_at or delivery.created_at
    beyond = Q(**{f"ended_at__{side}": at}) | Q(**{f"pk__{side}": delivery.pk})
    there = alike.filter(**{f"ended_at__{side}e": at}).filter(beyond)
    return _first(there.order_by(f"{order}ended_at", f"{order}pk"), "pk")


def _first(rows: Any, column: str) -> Subquery:
    return Subquery(rows.values(column)[:1])
