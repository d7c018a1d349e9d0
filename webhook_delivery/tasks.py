"""What django-q2 calls. The tasks take no arguments, hold no state, and never raise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from django.db import router

from webhook_delivery import doorbell, lifecycle, pruning, pump, scheduling, sweeping
from webhook_delivery.drain import drain as send_due
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery

logger = log_of(__name__)

RETAIN_SECONDS = 0.5
"""How long the sweep itself prunes, before it drains."""


def never_raises(task: Callable[[], None]) -> Callable[[], None]:
    """A task that raises would be repeated for ever; the rows say what is left to do anyway."""

    @functools.wraps(task)
    def guarded() -> None:
        try:
            task()
        except Exception:
            logger.exception("%s failed; the next one goes on with what is due", task.__name__)

    return guarded


@never_raises
def drain() -> None:
    """Send what is due, and see to it that somebody sends what falls due later."""
    using = router.db_for_write(Delivery)
    doorbell.answer(using=using)
    with ExitStack() as stack:
        report = send_due(
            using=using,
            seconds=scheduling.budget(),
            stay=lambda: stack.enter_context(doorbell.watch(using=using)),
            meanwhile=partial(_meanwhile, iter([_look_after_the_lost]), pump.Feeder(using)),
        )
    doorbell.arm(report.next_due, using=using)


def _meanwhile(acts: Iterator[Callable[[], None]], feed: Callable[[], bool]) -> bool:
    """Feed the redeliveries of many, and do the next of these; whether anything was done."""
    fed = feed()
    for act in acts:
        act()
        return True
    return fed


@never_raises
def _look_after_the_lost() -> None:
    if doorbell.stand_in(using=router.db_for_write(Delivery)):
        _tidy()
    _rescue()


@never_raises
def prune() -> None:
    """Delete what retention lets go, for a while; then others have their turn before the next."""
    using = router.db_for_write(Delivery)
    done = pruning.prune(using=using, seconds=scheduling.seconds_to_prune()).done
    pruning.take_turn(using=using, held=True)
    if not done:
        scheduling.wake(task=scheduling.PRUNE)


@never_raises
def sweep() -> None:
    """The safety net, every minute: whatever was forgotten is found here."""
    doorbell.begin_sweep(using=router.db_for_write(Delivery))
    _tidy()
    drain()


def _tidy() -> None:
    """What only the sweep does."""
    sweeping.tidy(using=router.db_for_write(Delivery))
    _retain()


@never_raises
def _rescue() -> None:
    lifecycle.rescue(using=router.db_for_write(Delivery))


@never_raises
def _retain() -> None:
    """Most often a moment is enough; what is more is a task of its own, and then the next."""
    using = router.db_for_write(Delivery)
    done = pruning.prune(using=using, seconds=RETAIN_SECONDS).done
    if not done and pruning.take_turn(using=using):
        scheduling.wake(task=scheduling.PRUNE)
