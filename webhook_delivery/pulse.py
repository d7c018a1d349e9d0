"""Reads when drains last ran, and how late they are, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell, Endpoint


@dataclass(frozen=True, slots=True)
class Pulse:
    """The doorbell's stamps, as seconds ago; None: never, or not now."""

    drained: float | None = None
    swept: float | None = None
    ringing: float | None = None
    late: float | None = None
    """For how long the delivery that waits longest has been due."""
    stand_ins: int = 0


def feel(*, using: str) -> Pulse:
    """Read all of it, in one statement."""
    told = Doorbell.objects.using(using).annotate(now=Now(), due=Subquery(_oldest_due(using)[:1]))
    row = told.filter(pk=1).first()
    if row is None:
        return Pulse()
    now, due = vars(row)["now"], vars(row)["due"]

    def ago(moment: datetime | None) -> float | None:
        return None if moment is None else float((now - moment).total_seconds())

    ringing = ago(row.ringing_since) if row.ringing else None
    return Pulse(ago(row.drained_at), ago(row.swept_at), ringing, ago(due), row.stand_ins)


def _oldest_due(using: str) -> QuerySet[Any, Any]:
    """When it fell due; what only waits for its endpoint is not late."""
    mine = Delivery.objects.filter(endpoint=OuterRef("pk"))
    first = mine.fallen_due().order_by("due_at").values("due_at")[:1]
    free = Endpoint.objects.using(using).on().filter(rate_per_second=None)
    free = free.exclude(lane__failures__gt=0).exclude(lane__blocked_until__gt=Now())
    idle = free.annotate(first=Subquery(first)).exclude(Exists(mine.sending()))
    return idle.filter(first__isnull=False).order_by("first").values("first")
