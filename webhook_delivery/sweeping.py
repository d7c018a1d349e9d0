"""What a sweep does beside sending: whatever was forgotten, and what the clock asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from webhook_delivery import (
    acknowledging,
    correspondence,
    endpoints,
    lifecycle,
    overseeing,
    rollups,
)
from webhook_delivery.logs import log_of
from webhook_delivery.scheduling import schedules

logger = log_of(__name__)


def tidy(*, using: str) -> None:
    """
    Do each part in a guard of its own: a row that defies one must not keep the rest from its work.

    Requests may be in flight meanwhile, so none of them asks anybody but the database.
    """
    for part in _parts():
        guarded(partial(part, using=using))


def post(*, using: str) -> None:
    """
    Send the mails that are due, while nothing is in flight.

    A mail server may keep one waiting for longer than leases last: what was answered meanwhile
    would be sent again by others.
    """
    guarded(partial(correspondence.post, using=using))


def _parts() -> Sequence[Callable[..., object]]:
    return (
        _resume_due,
        overseeing.oversee,
        endpoints.settle_strays,
        lifecycle.name_types,
        lifecycle.move_up,
        _mend_schedules,
        partial(rollups.add_up, after=rollups.COMMITTED_SECONDS),
        acknowledging.resolve,
    )


def guarded(part: Callable[[], object]) -> None:
    """Do it; whatever it raises is logged, and no more."""
    try:
        part()
    except Exception:
        logger.exception("A part of the sweep failed; the rest goes on")


def _resume_due(*, using: str) -> None:
    if resumed := endpoints.resume_due(using=using):
        logger.info("%s endpoints were paused until now, and are on again", resumed)


def _mend_schedules(*, using: str) -> None:
    if mended := schedules.ensure():
        logger.warning("Schedules were missing or changed, and were mended: %s", mended)
