"""Says what would go, without deleting anything: counted so far and no farther."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet

from webhook_delivery import retention
from webhook_delivery.counting import Number, count
from webhook_delivery.models import Event, Walk
from webhook_delivery.pruning.events import Bodies, Events

COUNTED = 100_000
"""More of one kind are “100,000+”."""
LOOKED_AT = 100_000
"""How many events are looked at, from where the walk is: most of them may have to stay."""


def foretell(*, using: str) -> dict[str, Number]:
    """How many rows of each kind would go now; events count if nothing is owed of them already."""
    rows: dict[str, QuerySet[Any]] = {
        **{state: retention.deliveries(state, using=using) for state in retention.SETTING},
        "events": _ahead(Events.name, retention.needless_events(using=using)),
        "bodies": _ahead(Bodies.name, retention.bodies(using=using)),
        "actions": retention.actions(using=using),
        "notices": retention.notices(using=using),
        "answers": retention.answers(using=using),
        "batches": retention.batches(using=using),
        "hours": retention.hours(using=using),
    }
    return {name: count(each, cap=COUNTED) for name, each in rows.items()}


def _ahead(walk: str, events: QuerySet[Event]) -> QuerySet[Event]:
    """Those of them that the walk comes by next."""
    walks = Walk.objects.using(events.db).filter(pk=walk)
    reached = walks.values_list("reached", flat=True).first() or uuid.UUID(int=0)
    ahead = Event.objects.using(events.db).filter(pk__gt=reached).order_by("pk")
    last = ahead.values_list("pk", flat=True)[LOOKED_AT - 1 : LOOKED_AT].first()
    events = events.filter(pk__gt=reached)
    return events if last is None else events.filter(pk__lte=last)
