"""How endpoints stand: their last day, their dead letters, and what has been due the longest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from webhook_delivery import figures
from webhook_delivery.counting import Number, count_each
from webhook_delivery.figures import Figures
from webhook_delivery.models import Delivery, Endpoint

CAP = 10_000
"""So many dead letters of one endpoint are counted."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one endpoint fares."""

    day: Figures
    dead: Number
    oldest: datetime | None
    """When what is due longest has been due; or will be due next."""


def standings_of(endpoints: Sequence[int], *, using: str) -> dict[int, Standing]:
    """Say it of each of a page of endpoints, by number, in three statements."""
    if not endpoints:
        return {}
    days = figures.each(endpoints, figures.DAY, using=using)
    letters = Delivery.objects.using(using).dead()
    dead = {str(pk): letters.filter(endpoint=pk) for pk in endpoints}
    counted, oldest = count_each(dead, cap=CAP, using=using), _oldest_due(endpoints, using)
    return {pk: Standing(days[pk], counted[str(pk)], oldest.get(pk)) for pk in endpoints}


def _oldest_due(endpoints: Sequence[int], using: str) -> dict[int, datetime | None]:
    """One look into the index for each, in one statement for all."""
    waiting = Delivery.objects.using(using).pending().filter(endpoint=OuterRef("pk"))
    first = waiting.filter(due_at__isnull=False).order_by("due_at").values("due_at")[:1]
    rows = Endpoint.objects.using(using).filter(pk__in=endpoints).annotate(first=Subquery(first))
    return dict(rows.values_list("pk", "first"))
