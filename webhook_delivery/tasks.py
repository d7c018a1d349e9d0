"""What django-q2 calls. The tasks take no arguments, hold no state, and never raise."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from django.db import router

from webhook_delivery import doorbell, endpoints, lifecycle, scheduling
from webhook_delivery.drain import drain as send_due
from webhook_delivery.models import Delivery
from webhook_delivery.scheduling import schedules

logger = logging.getLogger(__name__)


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
    if doorbell.stand_in(using=using):
        _tidy()
    _rescue()
    with doorbell.watch(using=using) as seconds_to_stay:
        send_due(using=using, seconds=scheduling.budget(), stay=seconds_to_stay)
    doorbell.arm(using=using)


@never_raises
def sweep() -> None:
    """The safety net, every minute: whatever was forgotten is found here."""
    doorbell.begin_sweep(using=router.db_for_write(Delivery))
    _tidy()
    drain()


def _tidy() -> None:
    """What only the sweep does."""
    _settle_strays()
    _mend_schedules()


# Each in a guard of its own: a row that defies one of them must not keep the rest from its work.


@never_raises
def _rescue() -> None:
    lifecycle.rescue(using=router.db_for_write(Delivery))


@never_raises
def _settle_strays() -> None:
    endpoints.settle_strays(using=router.db_for_write(Delivery))


@never_raises
def _mend_schedules() -> None:
    if mended := schedules.ensure():
        logger.warning("Schedules were missing or changed, and were mended: %s", mended)
