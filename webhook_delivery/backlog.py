"""How much is owed and not delivered: due, waiting for its time, being sent, held, and dead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from webhook_delivery.clock import Now
from webhook_delivery.counting import Number, both, count_each
from webhook_delivery.models import DeliveryQuerySet, Endpoint

COUNTED = 100_000
"""How many of each kind are counted exactly; more are “100,000 or more”."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many deliveries there are of each kind, and which moments they wait for."""

    due: Number
    """Their time has come, and their endpoints are on."""
    waiting: Number
    """For a later attempt, or for their turn in a sequence."""
    sending: Number
    held: Number
    """Of endpoints that are paused or off, what is about to be held among it."""
    dead: Number
    oldest_due_at: datetime | None
    """Since when the one that is due longest has been due; None: nothing is due."""
    late_seconds: float | None
    """How long ago that was, by the database's clock."""
    next_due_at: datetime | None
    """When the first of those that wait will be due."""

    def as_dict(self) -> dict[str, Any]:
        """By name; a number that is no more than what was counted is told as that, in `capped`."""
        told = asdict(self)
        counts = {name: each for name, each in told.items() if isinstance(each, Number)}
        capped = [name for name, number in counts.items() if number.capped]
        return told | {name: number.of for name, number in counts.items()} | {"capped": capped}


def backlog_of(rows: DeliveryQuerySet, *, cap: int = COUNTED) -> Backlog:
    """Count what is owed of these deliveries, each kind up to the cap, in three statements."""
    kinds = {
        "due": rows.due(),
        "waiting": rows.later(),
        "sending": rows.sending(),
        "held": rows.held(),
        "strays": rows.pending().exclude(endpoint__in=Endpoint.objects.using(rows.db).on()),
        "dead": rows.dead(),
    }
    counted = count_each(kinds, cap=cap, using=rows.db)
    counted["held"] = both(counted["held"], counted.pop("strays"), cap=cap)
    oldest = _first(rows.due())
    upcoming = _first(rows.waiting().filter(due_at__gt=Now()))
    return Backlog(
        **counted,
        oldest_due_at=oldest and oldest[0],
        late_seconds=oldest and (oldest[1] - oldest[0]).total_seconds(),
        next_due_at=upcoming and upcoming[0],
    )


def _first(rows: DeliveryQuerySet) -> tuple[datetime, datetime] | None:
    """When the first is due, and the database's now; None if there is none."""
    found: tuple[datetime, datetime] | None
    found = rows.order_by("due_at").values_list("due_at", Now()).first()
    return found
