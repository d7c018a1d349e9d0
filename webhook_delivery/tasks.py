"""What django-q2 calls. The tasks take no arguments, hold no state, and never raise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import ParamSpec

from django.db import router

from webhook_delivery import doorbell, lifecycle, pruning, pump, scheduling, sweeping
from webhook_delivery.drain import drain as send_due
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery

logger = log_of(__name__)

P = ParamSpec("P")
PRUNE_SECONDS = 0.5
"""How long the sweep itself prunes, before it drains."""


def never_raises(task: Callable[P, None]) -> Callable[P, None]:
    """A task that raises would be repeated for ever; the rows say what is left to do anyway."""

    @functools.wraps(task)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            task(*args, **kwargs)
        except Exception:
            logger.exception("%s failed; the next one goes on with what is due", task.__name__)

    return guarded


@never_raises
def drain() -> None:
    """Send what is due, and see to it that somebody sends what falls due later."""
    using = router.db_for_write(Delivery)
    doorbell.answer(using=using)
    with ExitStack() as afterwards:
        acts = iter([partial(_look_after_the_lost, afterwards)])
        with ExitStack() as stack:
            report = send_due(
                using=using,
                seconds=scheduling.budget(),
                stay=functools.cache(partial(stack.enter_context, doorbell.watch(using=using))),
                meanwhile=partial(_meanwhile, acts, pump.Feeder(using)),
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
def _look_after_the_lost(afterwards: ExitStack) -> None:
    """Mails wait until nothing is in flight any more: a mail server may be slow."""
    using = router.db_for_write(Delivery)
    if doorbell.stand_in(using=using):
        _tidy()
        afterwards.callback(sweeping.post, using=using)
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
    using = router.db_for_write(Delivery)
    doorbell.begin_sweep(using=using)
    _tidy()
    sweeping.post(using=using)
    drain()


def _tidy() -> None:
    """What only the sweep does."""
    sweeping.tidy(using=router.db_for_write(Delivery))
    _prune_a_moment()


@never_raises
def _rescue() -> None:
    lifecycle.rescue(using=router.db_for_write(Delivery))


@never_raises
def _prune_a_moment() -> None:
    """Most often a moment is enough; what is more is a task of its own, and then the next."""
    using = router.db_for_write(Delivery)
    done = pruning.prune(using=using, seconds=PRUNE_SECONDS).done
    if not done and pruning.take_turn(using=using):
        scheduling.wake(task=scheduling.PRUNE)
