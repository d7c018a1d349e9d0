"""Feeds redeliveries of many to the queue: behind live traffic, at their rate, while they may."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from webhook_delivery import guarding, lifecycle, missing, notifying
from webhook_delivery.clock import Now
from webhook_delivery.guarding import Fate, Guard, Next, Step
from webhook_delivery.lifecycle.sequences import OWN
from webhook_delivery.locking import can_skip, insist
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Endpoint, Lane, RedeliveryBatch, Transition
from webhook_delivery.selecting import meant

logger = log_of(__name__)

CHUNK = 500
"""How many are made due at once, at most; and how many may wait, so that live traffic goes on."""
AHEAD = 20 * CHUNK
"""How many may pile up that cannot be sent now, and keep nobody waiting."""
STEP_SECONDS = 0.25
"""How often a batch is fed, unless its rate is slower."""
AGAIN_SECONDS = 60
"""How long one waits that could not be fed."""

State = RedeliveryBatch.State
Kind = RedeliveryBatch.Kind
LINED_UP = Q(state=Delivery.State.PENDING, due_at=None)
"""Waiting for their turn in their sequence."""


class Feeder:
    """Feeds now and then, however often it is called; a database that is away makes it wait."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._next = 0.0

    def __call__(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + STEP_SECONDS
        try:
            return feed(using=self._using)
        except (DatabaseError, InterfaceError):  # what is in flight must still be recorded
            logger.exception("Redeliveries could not be fed; they are tried again later")
            connections[self._using].close()
            return False


def feed(*, using: str) -> bool:
    """Feed each batch whose time has come; whether anything has been made due."""
    due = RedeliveryBatch.objects.using(using).due().order_by("due_at")
    return sum(_feed_apart(pk, using) for pk in due.values_list("pk", flat=True)) > 0


def _feed_apart(pk: int, using: str) -> int:
    """How many; one that defies us must not keep the others."""
    try:
        return insist(partial(_feed, pk, using), using=using)
    except Exception:
        said = "Redelivery %s could not be fed; it is tried again later"
        logger.exception(said, pk, extra={"redelivery": pk})
        later = Now() + timedelta(seconds=AGAIN_SECONDS)
        RedeliveryBatch.objects.using(using).filter(pk=pk).update(due_at=later)
        return 0


def _feed(pk: int, using: str) -> int:
    """
    Make some of it due, and remember how far it is, in one transaction: a crash repeats nothing.

    Returns how many.
    """
    rows = RedeliveryBatch.objects.using(using).due().filter(pk=pk).annotate(now=Now())
    batch = rows.select_for_update(skip_locked=can_skip(using)).first()
    if batch is None:
        return 0
    now: datetime = vars(batch)["now"]
    said = guarding.judge(Guard(batch.canary, batch.stop_above), *_fates(batch, using))
    match said.step:
        case Step.STOP:
            return _stop(batch, said, using)
        case Step.WAIT:
            return _put_off(batch, now, STEP_SECONDS, using)
        case Step.FEED:
            return _go_on(batch, now, min(said.most, _allowed(batch, now, using)), using)


def _fates(batch: RedeliveryBatch, using: str) -> tuple[list[Fate], list[Fate]]:
    """Of the first that it sent, and of the last."""
    sent = Transition.objects.using(using).filter(batch=batch, pk__gt=batch.watched_from)
    columns = sent.values_list("after", "delivery__state", "delivery__attempts_made")
    first = columns.order_by("pk")[: batch.canary]
    recent = columns.order_by("-pk")[: guarding.RECENT] if batch.stop_above is not None else ()
    return [_fate(*each) for each in first], [_fate(*each) for each in recent]


def _fate(after: int, state: str, made: int) -> Fate:
    return guarding.fate(state, tried=made > after)


def _allowed(batch: RedeliveryBatch, now: datetime, using: str) -> int:
    """As many as its rate allows until the next step, and no more than may wait."""
    room = _room(batch, using)
    if batch.rate_per_second is None:
        return room
    ahead = (now - _since(batch, now)).total_seconds() + STEP_SECONDS
    return min(room, max(1, int(ahead * batch.rate_per_second)))


def _room(batch: RedeliveryBatch, using: str) -> int:
    """
    How many more may wait.

    What is owed to who can be sent nothing, or stands in a line behind another, costs claims
    nothing, so it keeps nothing from others: it does not count until `AHEAD` of it have piled up,
    and then only if most of the last that were sent wait. If all is owed to one endpoint, and in
    one line, there are no others, and it counts.
    """
    if batch.kind == Kind.MISSED:
        return _room_of_one(batch.selection["endpoint"], using)
    waiting = _waiting(batch, using)
    room = CHUNK - len(waiting)
    passed = {endpoint for endpoint, is_passed in waiting if is_passed}
    if not passed:
        return room
    free = CHUNK - sum(not is_passed for _, is_passed in waiting)
    return max(room, min(free, AHEAD - _piled_up(passed, batch, using)))


def _room_of_one(endpoint: int, using: str) -> int:
    rows = Delivery.objects.using(using).filter(endpoint=endpoint)
    room = CHUNK - _count([rows.sending(), rows.fallen_due()], CHUNK)
    lined_up = _count([rows.filter(LINED_UP)], AHEAD)
    one_line = Endpoint.objects.using(using).filter(pk=endpoint, ordered=True).exists()
    return room - lined_up if one_line else min(room, AHEAD - lined_up)


def _waiting(batch: RedeliveryBatch, using: str) -> list[tuple[int, bool]]:
    """Whom the last that were sent are owed to, if not answered yet; and if others may pass."""
    sent = Transition.objects.using(using).filter(batch=batch).order_by("-pk")
    last = list(sent.values_list("delivery", flat=True)[: 2 * CHUNK])
    rows = Delivery.objects.using(using).filter(pk__in=last)
    lane = Lane.objects.using(using).filter(pk=OuterRef("endpoint"))
    passed = Q(due_at=None) | Q(Exists(lane.choked()))
    if "endpoint" in batch.selection:
        passed = Q(due_at=None, sequence__gt=OWN)
    waiting = (rows.sending() | rows.fallen_due() | rows.filter(LINED_UP)).annotate(passed=passed)
    return list(waiting.values_list("endpoint", "passed")) if last else []


def _piled_up(endpoints: Collection[int], batch: RedeliveryBatch, using: str) -> int:
    """How much stands in line or has fallen due to them since it began, whoever sent it."""
    rows = Delivery.objects.using(using).filter(endpoint__in=endpoints)
    fallen_due = rows.fallen_due().filter(due_at__gte=batch.created_at)
    return _count([fallen_due, rows.filter(LINED_UP)], AHEAD)


def _count(rows: Iterable[QuerySet[Delivery]], most: int) -> int:
    """Of each up to so many; each by its range of the index."""
    return sum(each.values("pk")[:most].count() for each in rows)


def _since(batch: RedeliveryBatch, now: datetime) -> datetime:
    """From when its rate counts: what it missed while nobody fed it is not made up for."""
    return max(batch.due_at, now - timedelta(seconds=1))


def _next_time(batch: RedeliveryBatch, now: datetime, fed: int) -> datetime:
    if batch.rate_per_second is None:
        return now + timedelta(seconds=STEP_SECONDS)
    return _since(batch, now) + timedelta(seconds=fed / batch.rate_per_second)


def _go_on(batch: RedeliveryBatch, now: datetime, most: int, using: str) -> int:
    if most <= 0:
        return _put_off(batch, now, STEP_SECONDS, using)
    if batch.kind == Kind.MISSED:
        return _make_missed(batch, now, most, using)
    lifecycle.name_types(using=using)  # whom a redelivery by type would pass over
    rest = meant(batch, using=using).filter(pk__gt=batch.cursor)
    ids = list(rest.order_by("pk").values_list("pk", flat=True)[:most])
    rows = Delivery.objects.using(using).filter(pk__in=ids)
    moved = lifecycle.redeliver(rows, batch=batch.pk, once=batch.once)
    batch.cursor = ids[-1] if ids else batch.cutoff
    batch.sent += len(moved)
    batch.left += len(ids) - len(moved)
    if len(ids) < most:
        _finish(batch, now, using)
    batch.due_at = _next_time(batch, now, len(ids))
    changed = ["cursor", "sent", "left", "state", "ended_at", "due_at"]
    batch.save(using=using, update_fields=changed)
    return len(moved)


def _make_missed(batch: RedeliveryBatch, now: datetime, most: int, using: str) -> int:
    """Make some of what was never made; while its endpoint is off, nothing may be owed to it."""
    endpoint = Endpoint.objects.using(using).filter(pk=batch.selection["endpoint"]).first()
    if endpoint and endpoint.state == Endpoint.State.OFF:
        return _put_off(batch, now, AGAIN_SECONDS, using)
    due = 0
    if endpoint and batch.event_cursor and batch.event_cutoff:
        walk = batch.event_cursor, batch.event_cutoff
        since = datetime.fromisoformat(batch.selection["since"])
        count, due, batch.event_cursor = missing.make(
            endpoint, *walk, since=since, most=most, now=now, using=using
        )
        batch.sent += count
        batch.due_at = _next_time(batch, now, count)
    if not endpoint or batch.event_cursor == batch.event_cutoff:
        _finish(batch, now, using)
    batch.save(using=using, update_fields=["event_cursor", "sent", "state", "ended_at", "due_at"])
    return due


def _finish(batch: RedeliveryBatch, now: datetime, using: str) -> None:
    """It is saved by who calls, in the same transaction."""
    batch.state, batch.ended_at = State.DONE, now
    notifying.of_batch(batch, using=using)


def _put_off(batch: RedeliveryBatch, now: datetime, seconds: float, using: str) -> int:
    batch.due_at = now + timedelta(seconds=seconds)
    batch.save(using=using, update_fields=["due_at"])
    return 0


def _stop(batch: RedeliveryBatch, said: Next, using: str) -> int:
    batch.state, batch.state_reason = State.GUARDED, _why(said)
    batch.save(using=using, update_fields=["state", "state_reason"])
    logger.warning(
        "Redelivery %s paused itself: %s of %s failed",
        *(batch.pk, said.failed, said.of),
        extra={"redelivery": batch.pk},
    )
    return 0


def _why(said: Next) -> str:
    failed = _("%(failed)s of the last %(of)s failed.") % {"failed": said.failed, "of": said.of}
    return failed if said.failed else _("None of the first was sent: they are held.")
