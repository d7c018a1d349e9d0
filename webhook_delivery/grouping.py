"""Groups dead letters by how they failed, and says which groups somebody has seen to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils import timezone

from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint

GROUPS_LIVE_LIMIT = 500_000
"""If more are dead, only those of the last seven days are grouped: it would take too long."""
NEWEST = 100_000
"""Of so many, the latest, it is asked which event types they are."""
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)

BY: Mapping[str, tuple[str, ...]] = {
    "failure": ("endpoint", "reason", "last_status"),
    "reason": ("reason",),
    "endpoint": ("endpoint",),
    "event_type": ("event_type",),
}
"""What dead letters can be grouped by, and the columns of it; the first is what people see to."""


class Failure(NamedTuple):
    """A kind of failure: the group's name, as `Acknowledgement` keeps it."""

    endpoint: int
    reason: str
    status: int = 0
    """Of the last answer; 0: there was none."""

    def dead(self, *, using: str) -> DeliveryQuerySet:
        """The dead letters that failed so."""
        rows = Delivery.objects.using(using).dead().because(self.reason)
        return rows.filter(endpoint=self.endpoint, last_status=self.status or None)


class SeenTo(NamedTuple):
    """Who has seen to a group, when, and until when it need not be told again (None: ever)."""

    by: str
    at: datetime
    until: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters that have something in common; what they differ in is None."""

    endpoint: int | None
    name: str
    """Of the endpoint."""
    reason: str | None
    status: int | None
    """0: there was no answer."""
    event_type: str | None
    hour: int
    """How many died within the last hour, the last day, the last week, and ever."""
    day: int
    week: int
    total: int
    first: datetime
    last: datetime
    seen_to: SeenTo | None = None

    @property
    def open(self) -> bool:
        return self.seen_to is None

    @property
    def failure(self) -> Failure:
        """What is acknowledged; only groups by failure have it."""
        assert self.endpoint and self.reason is not None
        return Failure(self.endpoint, self.reason, self.status or 0)


def groups(
    by: str = "failure",
    *,
    using: str,
    tenants: Sequence[str] | None = None,
    most: int = 200,
    week: bool = False,
    now: datetime | None = None,
) -> list[Group]:
    """
    Group the dead letters, the largest group first; at most three statements, however many.

    by: one of `BY`. tenants: only theirs; None: all. week: only of the last seven days.
    Of event types, only the newest are looked at.
    """
    now = now or timezone.now()
    rows = Delivery.objects.using(using).dead()
    if tenants is not None:
        rows = rows.filter(endpoint__tenant__in=tenants)
    if week:
        rows = rows.filter(ended_at__gte=now - WEEK)
    if by == "event_type":
        rows = _newest(rows)
    found = list(_grouped(rows, BY[by], now)[:most])
    known = _endpoints({row["endpoint"] for row in found if "endpoint" in row}, using)
    return [_group(row, known) for row in found]


def beyond(*, using: str) -> DeliveryQuerySet:
    """One dead letter more than can be grouped, if there are so many: then ask for the week."""
    dead = Delivery.objects.using(using).dead()
    return dead[GROUPS_LIVE_LIMIT : GROUPS_LIVE_LIMIT + 1]


def the(failure: Failure, *, using: str) -> Group | None:
    """Look at one group; None if nothing has failed so, or no longer."""
    rows = _grouped(failure.dead(using=using), BY["failure"], timezone.now())
    known = _endpoints({failure.endpoint}, using)
    return next((_group(row, known) for row in rows), None)


def _grouped(rows: DeliveryQuerySet, columns: Sequence[str], now: datetime) -> QuerySet[Any, Any]:
    def since(span: timedelta) -> Count:
        return Count("ended_at", filter=Q(ended_at__gte=now - span))

    grouped: QuerySet[Any, Any] = rows.order_by().values(*columns)
    counted = grouped.annotate(
        hour=since(HOUR),
        day=since(DAY),
        week=since(WEEK),
        total=Count("*"),
        first=Min("ended_at"),
        last=Max("ended_at"),
    )
    ordered: QuerySet[Any, Any] = counted.order_by("-total", *columns)
    return ordered


def _newest(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those that died last: a subquery with a limit is not for every database."""
    latest = rows.order_by("-ended_at").values_list("ended_at", flat=True)
    oldest = next(iter(latest[NEWEST - 1 : NEWEST]), None)
    return rows if oldest is None else rows.filter(ended_at__gte=oldest)


class _Known(NamedTuple):
    """The name of an endpoint, and what of it has been seen to."""

    name: str
    seen_to: dict[tuple[str, int], SeenTo]


def _endpoints(numbers: Collection[int], using: str) -> dict[int, _Known]:
    """In one statement: a row for each acknowledgement, or one without any."""
    found: dict[int, _Known] = {}
    rows = Endpoint.objects.using(using).filter(pk__in=numbers).annotate(now=Now())
    columns = ("reason", "status", "by_name", "at", "until", "note")
    named = rows.values_list("pk", "name", "now", *(f"acknowledgements__{c}" for c in columns))
    for pk, name, now, reason, status, *seen_to in named if numbers else ():
        known = found.setdefault(pk, _Known(name, {}))
        seen = SeenTo(*seen_to)
        if reason is not None and (seen.until is None or seen.until > now):
            known.seen_to[reason, status] = seen
    return found


def _group(row: Mapping[str, Any], known: Mapping[int, _Known]) -> Group:
    endpoint, reason = row.get("endpoint"), row.get("reason")
    status = (row["last_status"] or 0) if "last_status" in row else None
    mine = known.get(endpoint, _Known("", {})) if endpoint else _Known("", {})
    return Group(
        endpoint=endpoint,
        name=mine.name,
        reason=reason,
        status=status,
        event_type=row.get("event_type"),
        seen_to=mine.seen_to.get((reason or "", status)) if status is not None else None,
        **{name: row[name] for name in ("hour", "day", "week", "total", "first", "last")},
    )
