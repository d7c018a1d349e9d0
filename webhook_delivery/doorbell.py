"""The doorbell row: rung once for many commits, answered by drains, watched by one; its alarm."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections, router, transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable

from webhook_delivery import listening, scheduling
from webhook_delivery.clock import Now, seconds_until_first
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Doorbell, Endpoint, Lane, RedeliveryBatch
from webhook_delivery.models.lane import pace_is_believed, pause_is_believed
from webhook_delivery.pacing import BURST_SECONDS

logger = log_of(__name__)

STALE = timedelta(seconds=5)
"""A doorbell that has rung this long unanswered may be rung again: its task may be lost."""
OVERDUE = timedelta(minutes=2)
"""A sweep that has not come for so long is not awaited: the next drain stands in for it."""
UNTAKEN = 3
"""So many rings in a row answered by others than tasks: nobody takes tasks, and none is queued."""
ABSENT = timedelta(minutes=10)
"""Who has not drained for so long, without a cluster, does so no more: a cluster may be there."""
AGAIN_SECONDS = 0.1
"""What has just fallen due may have done so after it was looked for: so soon again, then."""
HANDOVER_SECONDS = 90
"""What falls due sooner than the scheduler surely ticks (30 s) and sweeps (60 s) needs a drain."""


@dataclass
class _Ring:
    """Rings once its transaction has committed; equal rings are one."""

    using: str
    rung: bool = False
    """One that has rung is like no new one: tests that capture callbacks leave it in the list."""

    def __call__(self) -> None:
        self.rung = True
        try:
            ring(using=self.using)
        except Exception:  # robust=True would ask this object for a __qualname__, and fail
            logger.exception("The doorbell is broken; the next sweep will find what is due")


def ring_on_commit(*, using: str) -> None:
    """Ring the doorbell when the transaction commits, once, and without ever hurting the caller."""
    if not _will_ring(using):
        transaction.on_commit(_Ring(using), using=using, robust=True)


def ring(*, using: str) -> bool:
    """
    Say that something may be due. Returns whether this ring woke a drain.

    A compare-and-set: while a drain is already on its way, nothing is queued. The drain clears the
    row before its first claim, so it sees whatever was committed before this was called. Loops
    that listen are notified each time: they answer the doorbell only now and then. Where they are
    all that runs, nothing is queued, for it would stay in the broker for ever.
    """
    listening.notify(using=using)
    # MySQL assigns from left to right, so what `ringing` was is asked first.
    since = Case(When(ringing=True, then=F("ringing_since")), default=Now())
    rung = {"ringing_since": since, "ringing": True, "rung_at": Now()}
    won = _row(using).filter(_worth_a_task()).update(**rung)
    if won:
        scheduling.wake()
    return bool(won)


def answer(*, using: str) -> None:
    """Say that a drain has begun, as a task: the next commit must ring again."""
    _answer(Value(0), using)


def answer_alone(*, using: str) -> None:
    """Say the same of a drain that is no task: if it rang, a task has been left in the broker."""
    _answer(F("untaken") + Case(When(ringing=True, then=1), default=0), using)


def begin_sweep(*, using: str) -> None:
    """Say that the sweep has begun: no drain need stand in for it."""
    _row(using).update(swept_at=Now(), stand_ins=0)


def stand_in(*, using: str) -> bool:
    """Whether the sweep is overdue, and this drain is the one that does its work."""
    standing = {"swept_at": Now(), "stand_ins": F("stand_ins") + 1}
    return bool(_row(using).filter(_not_within("swept_at", OVERDUE)).update(**standing))


@scheduling.when_a_worker_starts
def start_afresh() -> None:
    """A worker that starts may follow one that was killed, with its task, its claims, its watch."""
    try:
        _row(router.db_for_write(Doorbell)).update(watched_until=None, untaken=0)
    except Exception:
        logger.exception("The watch could not be cleared; it ends by itself")
    scheduling.wake()


@contextmanager
def watch(*, using: str) -> Iterator[float]:
    """
    Become the one drain that stays for what falls due, for so many seconds; 0: it need not stay.

    Only django-q2's ORM broker can be told a time. With another, one drain stays: if each did, they
    would take every worker from the project's own tasks.
    """
    until = None if scheduling.can_be_told_a_time() else _take_watch(using)
    if until is None:
        yield 0.0
        return
    try:
        yield scheduling.seconds_to_stay()
    finally:
        _row(using).filter(watched_until=until).update(watched_until=None)


def arm(due: float | None, *, using: str) -> None:
    """
    See to it that a drain runs in time for the next delivery.

    due: the seconds until then, as `soonest` or a drain's report tells; None: there is none.
    """
    if scheduling.runs_inside_callers():
        return
    if not scheduling.can_be_told_a_time():
        _hand_over(due, using)
    elif due is not None and due <= 0:
        ring(using=using)  # a compare-and-set: however many drains end now, one follows
    elif due is not None and _sooner(due, using):
        scheduling.wake_in(due)


def soonest(using: str, *, looked: float = 0) -> float | None:
    """
    Seconds until the next delivery may be sent, or the next lease ends; None if neither will.

    looked: how many seconds ago it was looked for, in vain: what was due and could not be claimed
    then is not counted; what has fallen due, or become free, since then is.
    """
    since, lanes = AGAIN_SECONDS + looked, Lane.objects.using(using)
    moments = (
        _first_due(since, using),
        Delivery.objects.using(using).sending().first_due_in(),
        _first_free(lanes.filter(pause_is_believed()), "blocked_until", 0, since),
        _first_free(lanes.filter(pace_is_believed()), "paced_until", BURST_SECONDS, since),
        RedeliveryBatch.objects.using(using).first_due_in(),
    )
    seconds = (moment for moment in moments if moment is not None)
    return min((moment if moment > 0 else AGAIN_SECONDS for moment in seconds), default=None)


def _first_due(since: float, using: str) -> float | None:
    """The same of a delivery that is due, but not for so long already."""
    on = Endpoint.objects.using(using).on().values("pk")
    later = {"due_at__gt": Now() - timedelta(seconds=since)}
    rows = Delivery.objects.using(using).pending_by_index().filter(endpoint__in=on, **later)
    return seconds_until_first(rows, "due_at", alike="state")


def _first_free(lanes: QuerySet[Lane], moment: str, ahead: float, since: float) -> float | None:
    """Seconds until a lane is free, when its `moment` is so near; or negative, but not for long."""
    later = {f"{moment}__gt": Now() + timedelta(seconds=ahead - since)}
    seconds = seconds_until_first(lanes.filter(**later), moment)
    return None if seconds is None else seconds - ahead


def _will_ring(using: str) -> bool:
    """Whether a ring is still to come that is undone only together with the current savepoints."""
    connection = connections[using]
    current = set(connection.savepoint_ids)
    return any(
        callback == _Ring(using) and set(savepoints) <= current
        for savepoints, callback, *_ in connection.run_on_commit
    )


@functools.cache
def _worth_a_task() -> Q:
    """No drain is on its way, and somebody takes tasks. Built once: each commit asks."""
    quiet = Q(ringing=False) | _not_within("rung_at", STALE)
    return quiet & (Q(untaken__lt=UNTAKEN) | Q(drained_at__lt=Now() - ABSENT))


def _answer(untaken: Combinable, using: str) -> None:
    """What `ringing` was is asked first, as in `ring`."""
    answered = {"untaken": untaken, "ringing": False, "drained_at": Now()}
    if not _row(using).update(**answered):
        Doorbell.objects.using(using).get_or_create(pk=1, defaults={"drained_at": Now()})


def _hand_over(due: float | None, using: str) -> None:
    """Queue the drain that will stay, unless one does; what is later is the sweep's."""
    if due is not None and due <= HANDOVER_SECONDS and _unwatched(using).exists():
        scheduling.wake()


def _sooner(seconds: float, using: str) -> bool:
    """Remember the alarm, unless one is armed that goes off before."""
    at = Now() + timedelta(seconds=seconds)
    later = Q(alarm_at=None) | Q(alarm_at__gt=at) | Q(alarm_at__lt=Now())
    return bool(_row(using).filter(later).update(alarm_at=at))


def _take_watch(using: str) -> datetime | None:
    """Until when the watch is ours; None if it is another's."""
    now = _row(using).values_list(Now(), flat=True).first()
    if now is None:
        return None
    until: datetime = now + _longest_watch()
    return until if _unwatched(using).update(watched_until=until) else None


def _unwatched(using: str) -> QuerySet[Doorbell]:
    """Nobody stays: nobody said so, or the time is over, or a clock that was wrong said so."""
    over = Q(watched_until__lt=Now()) | Q(watched_until__gt=Now() + _longest_watch() + STALE)
    return _row(using).filter(Q(watched_until=None) | over)


def _longest_watch() -> timedelta:
    """While it waits for what hangs, it may not send everything: another may stay, then."""
    return timedelta(seconds=scheduling.budget())


def _not_within(stamp: str, span: timedelta) -> Q:
    """It is longer ago; or still to come, because the database's clock was set back since."""
    past, ahead = Q(**{f"{stamp}__lt": Now() - span}), Q(**{f"{stamp}__gt": Now() + span})
    return Q(**{stamp: None}) | past | ahead


def _row(using: str) -> QuerySet[Doorbell]:
    return Doorbell.objects.using(using).filter(pk=1)
