"""Moves many deliveries by one verb, chunk by chunk, and writes to the log what it moved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Case, OuterRef, Subquery, Value, When

from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet, Event, Transition

CHUNK = 500
"""How many rows are read together, or changed by one statement, at most: no lock lasts long."""


def change(
    deliveries: DeliveryQuerySet,
    *,
    was: Sequence[Delivery.State],
    logged: Transition.Verb | None,
    due: bool = False,
    most: int | None = None,
    batch: int | None = None,
    whole: bool = False,
    **changes: Any,
) -> list[int]:
    """
    Change rows chunk by chunk, each chunk in a transaction; return their ids.

    was: the states that allow it. changes: the columns, and what they become.
    logged: what the log says of it; None: nothing, for something else says so.
    due: they are due now; what is released no sooner than its first attempt was wished for.
    most: about so many; None: all. batch: the redelivery of many that the log names beside them.
    whole: only those whose events still have their bodies, which they keep until the commit.
    """
    rows = deliveries.filter(state__in=was).order_by("pk")
    allowed = Delivery.objects.using(deliveries.db).filter(state__in=was)
    changed: list[int] = []
    last = 0
    while (most is None or len(changed) < most) and (
        ids := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK])
    ):
        chunk = allowed.filter(pk__in=ids)
        changed += insist(
            partial(_move, chunk, logged, batch, due, whole, changes), using=deliveries.db
        )
        last = ids[-1]
    return changed


def _move(
    rows: DeliveryQuerySet,
    logged: Transition.Verb | None,
    batch: int | None,
    due: bool,
    whole: bool,
    changes: dict[str, Any],
) -> list[int]:
    """Change one chunk, and write it to the log with the very moment that the rows get."""
    rows = _lock_whole(rows) if whole else rows
    columns = rows.values_list("pk", "attempts_made", Now(), _deliver_at(rows))
    locked = list(columns.order_by("pk").select_for_update())
    if not locked:
        return []
    ids, moment = [pk for pk, *_ in locked], locked[0][2]
    later = {
        pk: wished
        for pk, made, _, wished in locked
        if logged == Transition.Verb.RELEASE and not made and wished and wished > moment
    }
    rows.filter(pk__in=ids).update(due_at=_due_at(moment, later) if due else None, **changes)
    if logged:
        Transition.objects.using(rows.db).bulk_create(
            Transition(delivery_id=pk, after=made, verb=logged, at=moment, batch_id=batch)
            for pk, made, *_ in locked
        )
    return ids


def _lock_whole(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those whose events have bodies; first the rows, then their events, as retention does."""
    owed = dict(rows.order_by("pk").select_for_update().values_list("pk", "event_id"))
    events = Event.objects.using(rows.db).whole().filter(pk__in=set(owed.values()))
    whole = set(events.order_by("pk").select_for_update().values_list("pk", flat=True))
    return rows.filter(pk__in=[pk for pk, event in owed.items() if event in whole])


def _deliver_at(rows: DeliveryQuerySet) -> Subquery:
    event = Event.objects.using(rows.db).filter(pk=OuterRef("event_id"))
    return Subquery(event.values("deliver_at"))


def _due_at(moment: datetime, later: dict[int, datetime]) -> datetime | Case:
    wished = (When(pk=pk, then=Value(at)) for pk, at in later.items())
    return Case(*wished, default=Value(moment)) if later else moment
