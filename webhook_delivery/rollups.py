"""Adds up the log hour by hour, so that nobody reads it whole to say how an endpoint fares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from time import monotonic
from typing import NamedTuple

from django.db import connections
from django.db.models import Case, Count, F, IntegerField, Max, QuerySet, Sum, Value, When
from django.db.models.functions import TruncHour

from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import Attempt, Delivery, EndpointStat, RollUp
from webhook_delivery.outcomes import Verdict, fault_of
from webhook_delivery.totals import BOUNDS, Alike, Ending, Totals

AT_ONCE, STEPS, SECONDS = 50_000, 20, 5
"""How many attempts one transaction adds, and how many transactions one run has, at most; none
begins after so many seconds: who sweeps has other work."""
WRITTEN = 500
"""How many hours of endpoints one statement writes."""
COMMITTED_SECONDS = 30
"""Whatever had its number so long ago has been committed, or never will be."""
AHEAD = 100_000
"""Of attempts that nobody has added up yet, no more are counted by who asks for totals."""
ALIKE = ("fault", "verdict", "bucket")
"""What attempts have in common that totals count together."""

Hour = tuple[int, datetime]
"""An endpoint's number, and when the hour began."""


class Found(NamedTuple):
    """So many attempts of an endpoint ended in the same way, in one hour, after about as long."""

    endpoint: int
    hour: datetime
    verdict: str
    status: int | None
    fault: str
    bucket: int | None
    """The index of the bound that they kept within; None: it is not known how long they took."""
    number: int
    milliseconds: int | None

    @property
    def alike(self) -> Alike:
        ending = Ending.of(self.fault, self.verdict)
        return Alike(ending, self.bucket, self.number, self.milliseconds or 0)


def add_up(*, using: str, most: int = AT_ONCE, after: float = 0) -> int:
    """
    Add the attempts that the run before had seen: all of them are committed; returns how many.

    most: of these in one transaction; there are a few, and the next run goes on where they ended.
    after: as many seconds as that time must be ago: whoever runs more often adds nothing then.
    Tests are left out: they say nothing of how events fare.
    """
    # Numbers are given before transactions commit: an attempt with a lower one may appear later.
    # So what is first seen now is added by a later run: by then it is there.
    added, ends = 0, monotonic() + SECONDS
    for _step in takewhile(lambda _: monotonic() < ends, range(STEPS)):
        reached, _new_row = RollUp.objects.using(using).get_or_create(pk=1)
        if reached.counted >= reached.seen:
            _look_ahead(reached, using)
            break
        if after and _within(after, reached, using):
            break
        added += _step_from(reached, most, using)
    return added


def so_far(*, using: str) -> Totals:
    """
    Say what all attempts came to, those that have not been added up yet included.

    It never says less than before, whatever is deleted. If nobody has added up for long, no more
    than `AHEAD` of those are counted. Tests are left out.
    """
    reached = RollUp.objects.using(using).filter(pk=1).first() or RollUp()
    ahead = Attempt.objects.using(using).filter(pk__gt=reached.counted)
    last = ahead.order_by("pk").values_list("pk", flat=True)[AHEAD - 1 : AHEAD]
    real = _real(ahead.filter(pk__lte=last[0]) if last else ahead)
    sums = {"number": Count("pk"), "milliseconds": Sum("duration_ms")}
    counted = real.order_by().values_list(*ALIKE).annotate(**sums)
    found = (Alike(Ending.of(*how), bucket, n, ms or 0) for *how, bucket, n, ms in counted)
    return Totals.from_json(reached.totals).plus(found)


def bucket_of(duration_ms: int) -> int:
    """Where in `EndpointStat.durations` an attempt is counted that took so long."""
    return next((i for i, bound in enumerate(BOUNDS) if duration_ms <= bound), len(BOUNDS))


def answer_of(status: int | None, fault: str) -> str:
    """How an attempt ended, as `EndpointStat.answers` names it: its status, or else its fault."""
    told = status is not None and fault in ("", fault_of(status))
    return str(status) if told else fault


def _look_ahead(reached: RollUp, using: str) -> None:
    latest = Attempt.objects.using(using).aggregate(latest=Max("pk"))["latest"] or 0
    if latest > reached.seen:
        _at(reached, using).update(seen=latest, seen_at=Now())


def _within(seconds: float, reached: RollUp, using: str) -> bool:
    """Whether it was looked ahead so short a time ago; a clock that was set back is none."""
    begins = Now() - timedelta(seconds=seconds)
    return _at(reached, using).filter(seen_at__gt=begins, seen_at__lte=Now()).exists()


def _step_from(reached: RollUp, most: int, using: str) -> int:
    """Add the next of them, and say so in the same transaction: all of that happens, or nothing."""
    ahead = Attempt.objects.using(using).filter(pk__gt=reached.counted, pk__lte=reached.seen)
    numbers = ahead.order_by("pk").values_list("pk", flat=True)
    last = next(iter(numbers[most - 1 : most]), reached.seen)
    found = [*_found(ahead.filter(pk__lte=last))]
    return insist(partial(_add, found, reached, last, using), using=using)


def _add(found: list[Found], reached: RollUp, last: int, using: str) -> int:
    # Who changes the row first holds its lock until the commit; whoever else counted the same
    # attempts then finds it changed, and adds nothing.
    totals = Totals.from_json(reached.totals).plus(each.alike for each in found)
    if not _at(reached, using).update(counted=last, totals=totals.as_json()):
        return 0
    _write(found, using)
    return sum(each.number for each in found)


def _at(reached: RollUp, using: str) -> QuerySet[RollUp]:
    """The row, as long as it is where it was read."""
    rows = RollUp.objects.using(using).filter(pk=reached.pk)
    return rows.filter(counted=reached.counted, seen=reached.seen)


def _found(attempts: QuerySet[Attempt]) -> Iterator[Found]:
    grouped = _real(attempts).annotate(
        endpoint=F("delivery__endpoint_id"), hour=TruncHour("started_at", tzinfo=UTC)
    )
    *columns, number, milliseconds = Found._fields
    sums = {number: Count("pk"), milliseconds: Sum("duration_ms")}
    return map(Found._make, grouped.order_by().values_list(*columns).annotate(**sums))


def _real(attempts: QuerySet[Attempt]) -> QuerySet[Attempt]:
    return attempts.exclude(trigger=Delivery.Trigger.TEST).annotate(bucket=_bucket())


def _bucket() -> Case:
    bounds = (When(duration_ms__lte=bound, then=Value(i)) for i, bound in enumerate(BOUNDS))
    unknown = When(duration_ms=None, then=Value(None))
    beyond = Value(len(BOUNDS))
    return Case(unknown, *bounds, default=beyond, output_field=IntegerField())


def _write(found: Iterable[Found], using: str) -> None:
    hours: dict[Hour, list[Found]] = {}
    for each in found:
        hours.setdefault((each.endpoint, each.hour), []).append(each)
    ordered = sorted(hours)
    for start in range(0, len(ordered), WRITTEN):
        some = ordered[start : start + WRITTEN]
        before = _before(some, using)
        _upsert([_added(before.get(hour) or _new(hour), hours[hour]) for hour in some], using)


def _upsert(rows: list[EndpointStat], using: str) -> None:
    named = connections[using].features.supports_update_conflicts_with_target
    EndpointStat.objects.using(using).bulk_create(
        rows,
        update_conflicts=True,
        update_fields=["delivered", "failed", "dead", "durations", "answers"],
        unique_fields=["endpoint", "hour"] if named else None,
    )


def _before(hours: list[Hour], using: str) -> dict[Hour, EndpointStat]:
    """What has been added to these already. Nobody changes it: who does has locked the roll-up."""
    endpoints, moments = ({*column} for column in zip(*hours, strict=True))
    rows = EndpointStat.objects.using(using).filter(endpoint__in=endpoints, hour__in=moments)
    return {(row.endpoint_id, row.hour): row for row in rows}


def _new(hour: Hour) -> EndpointStat:
    return EndpointStat(endpoint_id=hour[0], hour=hour[1])


def _added(row: EndpointStat, found: Iterable[Found]) -> EndpointStat:
    """A row like it, and more: without its number, so that the same statement writes old ones."""
    durations = [0] * (len(BOUNDS) + 1)
    durations[: len(row.durations)] = row.durations
    sums, answers = Counter[str](), Counter(row.answers)
    for each in found:
        sums["delivered" if each.verdict == Verdict.DELIVERED else "failed"] += each.number
        sums["dead"] += each.number if each.verdict == Verdict.DEAD else 0
        answers[answer_of(each.status, each.fault)] += each.number
        if each.bucket is not None:
            durations[each.bucket] += each.number
    return EndpointStat(
        endpoint_id=row.endpoint_id,
        hour=row.hour,
        delivered=row.delivered + sums["delivered"],
        failed=row.failed + sums["failed"],
        dead=row.dead + sums["dead"],
        durations=durations,
        answers=dict(answers),
    )
