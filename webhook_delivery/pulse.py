"""Reads when drains last ran, and how late they and retention are, by the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from webhook_delivery import retention
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, Doorbell, Endpoint
from webhook_delivery.models.lane import blocked

OVERSTAYED_DAYS = 3
"""How late retention may be until it is said: who turns it on may have years to delete."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The doorbell's stamps, as seconds ago; None: never, or not now."""

    drained: float | None = None
    swept: float | None = None
    ringing: float | None = None
    late: float | None = None
    """For how long the delivery that waits longest has been due."""
    stand_ins: int = 0
    overstayed: Sequence[str] = ()
    """In which states there are deliveries that should have been deleted days ago."""

    @property
    def silent(self) -> bool:
        """Whether nothing has drained for `HEALTH_SILENCE_SECONDS`, or ever: no worker runs."""
        return self.drained is None or self.drained > settings.HEALTH_SILENCE_SECONDS


def feel(*, using: str) -> Pulse:
    """Read all of it, in one statement."""
    told = Doorbell.objects.using(using).annotate(now=Now(), due=Subquery(_oldest_due(using)[:1]))
    old = _overstayed(using)
    row = told.annotate(**old).filter(pk=1).first()
    if row is None:
        return Pulse()
    now, due = vars(row)["now"], vars(row)["due"]

    def ago(moment: datetime | None) -> float | None:
        return None if moment is None else float((now - moment).total_seconds())

    ringing = ago(row.ringing_since) if row.ringing else None
    over = [state for state in old if vars(row)[state]]
    return Pulse(ago(row.drained_at), ago(row.swept_at), ringing, ago(due), row.stand_ins, over)


def _overstayed(using: str) -> dict[str, Subquery]:
    """
    By state, the oldest; what a row of another app keeps is meant to stay.

    Not `Exists`: of many rows PostgreSQL thinks that one is soon found without an index.
    """
    states = [state for state in retention.SETTING if retention.kept(state) is not None]
    old = partial(retention.deliveries, using=using, late=timedelta(days=OVERSTAYED_DAYS))
    first = {state: old(state).order_by("ended_at").values("pk")[:1] for state in states}
    return {str(state): Subquery(rows) for state, rows in first.items()}


def _oldest_due(using: str) -> QuerySet[Any, Any]:
    """When it fell due; what only waits for its endpoint is not late."""
    mine = Delivery.objects.filter(endpoint=OuterRef("pk"))
    first = mine.fallen_due().order_by("due_at").values("due_at")[:1]
    free = Endpoint.objects.using(using).on().filter(rate_per_second=None)
    free = free.exclude(lane__failures__gt=0).exclude(blocked("lane__"))
    idle = free.annotate(first=Subquery(first)).exclude(Exists(mine.sending()))
    return idle.filter(first__isnull=False).order_by("first").values("first")
