"""Reads how endpoints have fared, from what `rollups` has added up: series, shares, percentiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import NamedTuple

from django.db.models import F, Sum
from django.db.models.expressions import RawSQL
from django.utils import timezone

from webhook_delivery.models import EndpointStat
from webhook_delivery.models.statistics import StatQuerySet
from webhook_delivery.tenancy import of_tenants
from webhook_delivery.totals import BOUNDS

HOUR = timedelta(hours=1)
BUSIEST = 100
"""Of so many endpoints it is asked which are the slowest."""


class Span(NamedTuple):
    """A stretch of time up to now, in whole hours, of which the last has not ended yet."""

    name: str
    hours: int
    step: int
    """How many hours make one bar."""

    def begins(self, now: datetime) -> datetime:
        this_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return this_hour - (self.hours - 1) * HOUR


SPANS: Mapping[str, Span] = {
    span.name: span
    for span in (Span("1h", 2, 1), Span("24h", 24, 1), Span("7d", 168, 6), Span("30d", 720, 24))
}
"""What can be asked for. One hour alone would be empty whenever it has just begun: so it is two."""
DAY = SPANS["24h"]


class Within(NamedTuple):
    """A time in ms that attempts kept within; or, if it is beyond the last bound, did not."""

    ms: int
    beyond: bool = False


class Point(NamedTuple):
    """How many attempts ended how, from an hour on."""

    hour: datetime
    delivered: int = 0
    failed: int = 0
    """Those that did not deliver, the last ones of dead letters among them."""
    dead: int = 0

    def plus(self, other: Point) -> Point:
        sums = (mine + more for mine, more in zip(self[1:], other[1:], strict=True))
        return Point(self.hour, *sums)


@dataclass(frozen=True, slots=True)
class Figures:
    """How one endpoint, or many, fared in a span: each hour of it, and all together."""

    span: Span
    series: tuple[Point, ...]
    """One for each hour of the span, the first one first; hours without attempts are all zeros."""
    durations: tuple[int, ...] = ()
    """How many attempts lasted how long, by `totals.BOUNDS`; empty if that was not asked."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """How many ended how, by status or fault; empty if that was not asked."""

    @property
    def since(self) -> datetime:
        return self.series[0].hour

    @property
    def delivered(self) -> int:
        return sum(point.delivered for point in self.series)

    @property
    def failed(self) -> int:
        return sum(point.failed for point in self.series)

    @property
    def dead(self) -> int:
        return sum(point.dead for point in self.series)

    @property
    def attempts(self) -> int:
        return self.delivered + self.failed

    @property
    def share(self) -> float | None:
        """Which share of the attempts delivered, 0 to 1; None if there were none."""
        return self.delivered / self.attempts if self.attempts else None

    @property
    def bars(self) -> list[Point]:
        """The series, with as many hours added up to one bar as the span says."""
        hours, step = self.series, self.span.step
        return [together(hours[i : i + step]) for i in range(0, len(hours), step)]

    @property
    def p50(self) -> Within | None:
        return percentile(self.durations, 0.5)

    @property
    def p95(self) -> Within | None:
        return percentile(self.durations, 0.95)


def totals(
    span: Span,
    *,
    using: str,
    tenants: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Figures:
    """
    Add up all endpoints, hour by hour, in one statement; without durations and answers.

    tenants: only theirs; None: all.
    """
    begins = span.begins(now or timezone.now())
    rows = _rows(begins, using, tenants).order_by().values_list("hour")
    names = ("delivered", "failed", "dead")
    summed = rows.annotate(**{f"all_{name}": Sum(name) for name in names})
    return Figures(span, _filled(span, begins, map(Point._make, summed)))


def figures(endpoint: int, span: Span, *, using: str, now: datetime | None = None) -> Figures:
    """Say all that is known of one endpoint, in one statement."""
    return each([endpoint], span, using=using, now=now)[endpoint]


def each(
    endpoints: Collection[int], span: Span, *, using: str, now: datetime | None = None
) -> dict[int, Figures]:
    """
    Say all that is known of each endpoint, in one statement: for a page of a hundred, say.

    Reads one row for each hour and endpoint: of a hundred, no more than a day should be asked.
    """
    begins = span.begins(now or timezone.now())
    rows: dict[int, list[EndpointStat]] = {endpoint: [] for endpoint in endpoints}
    for row in _rows(begins, using).filter(endpoint__in=endpoints).order_by():
        rows[row.endpoint_id].append(row)
    return {endpoint: _of(span, begins, its) for endpoint, its in rows.items()}


class Slow(NamedTuple):
    """An endpoint, and the time that 95 of 100 attempts kept within."""

    endpoint: int
    name: str
    p95: Within


def slowest(
    top: int,
    span: Span = DAY,
    *,
    using: str,
    tenants: Sequence[str] | None = None,
    now: datetime | None = None,
) -> list[Slow]:
    """Name the slowest of the endpoints with the most attempts, the slowest first."""
    rows = _rows(span.begins(now or timezone.now()), using, tenants).order_by()
    columns = ("endpoint", "endpoint__name", "durations")
    durations: dict[tuple[int, str], list[list[int]]] = {}
    for endpoint, name, lasted in rows.filter(endpoint__in=_busiest(rows)).values_list(*columns):
        durations.setdefault((endpoint, name), []).append(lasted)
    p95 = {who: percentile(_sum(rows), 0.95) for who, rows in durations.items()}
    found = [Slow(*who, within) for who, within in p95.items() if within]
    return sorted(found, key=lambda slow: slow.p95, reverse=True)[:top]


def percentile(durations: Sequence[int], share: float) -> Within | None:
    """The bound that at least this share of the attempts kept within; None if there were none."""
    wanted, reached = sum(durations) * share, 0
    for number, bound in zip(durations, BOUNDS, strict=False):
        reached += number
        if reached and reached >= wanted:
            return Within(bound)
    return Within(BOUNDS[-1], beyond=True) if wanted else None


def together(points: Sequence[Point]) -> Point:
    """Add up some hours; the sum is said to begin with the first."""
    total = points[0]
    for point in points[1:]:
        total = total.plus(point)
    return total


def _busiest(rows: StatQuerySet) -> RawSQL:
    """Those with the most attempts: a limit in a subquery must be wrapped, for MariaDB's sake."""
    tried = rows.values("endpoint").annotate(tried=Sum(F("delivered") + F("failed")))
    some = tried.order_by("-tried", "endpoint")[:BUSIEST]
    sql, values = some.query.get_compiler(rows.db).as_sql()
    return RawSQL(f"SELECT endpoint FROM ({sql}) busiest", values)  # noqa: S608, S611 - Django's


def _rows(begins: datetime, using: str, tenants: Sequence[str] | None = None) -> StatQuerySet:
    rows = EndpointStat.objects.using(using).since(begins)
    return of_tenants(rows, tenants, by="endpoint__tenant")


def _of(span: Span, begins: datetime, rows: Sequence[EndpointStat]) -> Figures:
    points = (Point(row.hour, row.delivered, row.failed, row.dead) for row in rows)
    answers: Counter[str] = Counter()
    for row in rows:
        answers.update(row.answers)
    durations = tuple(_sum([row.durations for row in rows]))
    return Figures(span, _filled(span, begins, points), durations, dict(answers.most_common()))


def _sum(histograms: Iterable[Sequence[int]]) -> list[int]:
    return [sum(counts) for counts in zip_longest(*histograms, fillvalue=0)]


def _filled(span: Span, begins: datetime, points: Iterable[Point]) -> tuple[Point, ...]:
    known = {point.hour: point for point in points}
    hours = (begins + n * HOUR for n in range(span.hours))
    return tuple(known.get(hour) or Point(hour) for hour in hours)
