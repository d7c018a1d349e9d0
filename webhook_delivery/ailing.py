"""For how long an endpoint has failed, and what follows: a warning, then it is off (pure)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.pacing import OURS, UNSIGNED, Traffic

FEWEST_EVENTS = 3
"""Attempts at so many events must have failed: one or two may be at fault themselves."""
SAYS_NOTHING = OURS | {UNSIGNED, Fault.ABORTED}
"""Faults that are not the receiver's; and one that shows it to be well."""


class Step(enum.Enum):
    """What is to be done about an endpoint."""

    NOTHING = enum.auto()
    WARN = enum.auto()
    SWITCH_OFF = enum.auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an endpoint may fail, in seconds from its first failure; 0: for ever."""

    warn_after: float
    disable_after: float


def heard(traffic: Traffic, told: Iterable[tuple[Outcome, bool]], now: datetime) -> Traffic:
    """
    What is remembered after these outcomes: it fails since the first failure after a success.

    told: each outcome, in their order, and whether it is of a delivery's first attempt. Refusals
        count, unlike for the breaker: who answers 401 for days is not well either.
    A success of what began before the breaker opened tells nothing new, as there.
    """
    said = [each for each in told if each[0].delivered or failed(each[0])]
    lately = list(takewhile(lambda each: failed(each[0]), reversed(said)))
    if len(lately) < len(said) and not traffic.blocked(now):
        traffic = anew(traffic)
    return _failed(traffic, sum(first for _, first in lately), now) if lately else traffic


def failed(outcome: Outcome) -> bool:
    """Whether the receiver did not take it, and that says something about the receiver."""
    return not outcome.delivered and outcome.fault not in SAYS_NOTHING


def anew(traffic: Traffic) -> Traffic:
    """Nothing is held against it any more."""
    return replace(traffic, failing_since=None, failed_at=None, failed_events=0, warned_at=None)


def ended(before: Traffic, after: Traffic) -> bool:
    """Whether something is over that people have noticed: they were told, or its breaker opened."""
    told = before.warned_at is not None and after.warned_at is None
    over = before.failing_since is not None and after.failing_since != before.failing_since
    return told or (before.openings > 0 and over)


def told_at(traffic: Traffic) -> datetime | None:
    """When people were told that it fails; None: they were not, or it was switched on since."""
    told, since = traffic.warned_at, traffic.failing_since
    return told if told and since and told >= since else None


def due(traffic: Traffic, limits: Limits) -> Step:
    """
    What is to be done now. Time counts up to the last failure: what is sent nothing does not fail.

    Switched off is only an endpoint that was warned `disable_after - warn_after` before: a quiet
    one may have failed a month ago, and then today.
    """
    if not _fails(traffic):
        return Step.NOTHING
    ends = ends_at(traffic, limits)
    if ends and traffic.failed_at and traffic.failed_at >= ends:
        return Step.SWITCH_OFF
    may_warn = limits.warn_after and told_at(traffic) is None
    return Step.WARN if may_warn and lasted(traffic) >= limits.warn_after else Step.NOTHING


def ends_at(traffic: Traffic, limits: Limits) -> datetime | None:
    """From when on one more failure switches it off; None: that cannot be said yet, or never."""
    if not limits.disable_after or not traffic.failing_since or not _fails(traffic):
        return None
    earliest = traffic.failing_since + timedelta(seconds=limits.disable_after)
    if not limits.warn_after:
        return earliest
    told = told_at(traffic)
    if told is None:
        return None
    notice = timedelta(seconds=limits.disable_after - limits.warn_after)
    return max(earliest, told + notice)


def lasted(traffic: Traffic) -> float:
    """How many seconds lie between the first failure and the last, with no success between."""
    if traffic.failing_since is None or traffic.failed_at is None:
        return 0.0
    return (traffic.failed_at - traffic.failing_since).total_seconds()


def _fails(traffic: Traffic) -> bool:
    return traffic.failing_since is not None and traffic.failed_events >= FEWEST_EVENTS


def _failed(traffic: Traffic, events: int, now: datetime) -> Traffic:
    begun = traffic.failing_since is not None
    return replace(
        traffic,
        failing_since=traffic.failing_since or now,
        failed_at=now,
        failed_events=traffic.failed_events + (events if begun else max(events, 1)),
    )
