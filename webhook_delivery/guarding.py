"""Whether a redelivery of many may go on, by how those that it sent have fared (pure)."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 100
"""How many of the last are looked at."""
FEWEST = 20
"""Of fewer, a share says little."""


class Fate(enum.Enum):
    """What has become of one that was sent."""

    WAITING = enum.auto()
    DELIVERED = enum.auto()
    FAILED = enum.auto()


def fate(*, delivered: bool, being_sent: bool, tried: bool) -> Fate:
    """
    Say what has become of one.

    tried: whether an attempt has begun since it was sent again.
    """
    if delivered:
        return Fate.DELIVERED
    return Fate.FAILED if tried and not being_sent else Fate.WAITING


class Step(enum.Enum):
    """What to do next."""

    FEED = enum.auto()
    WAIT = enum.auto()
    STOP = enum.auto()


@dataclass(frozen=True, slots=True)
class Guard:
    """When a redelivery pauses itself."""

    canary: int = 0
    """So many go first, and are waited for; if all fail, it stops. 0: none."""
    stop_above: int | None = None
    """Percent of the recent ones that may fail; None: all."""


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next, and with how many, at most; why it stops, as a share of how many."""

    step: Step
    most: int = 0
    failed: int = 0
    of: int = 0


def judge(guard: Guard, first: Sequence[Fate], recent: Sequence[Fate]) -> Next:
    """
    Say what to do next.

    first: the fates of the first that were sent, as many as the canary asks for.
    recent: the fates of the last ones.
    """
    if len(first) < guard.canary:
        return Next(Step.FEED, guard.canary - len(first))
    if guard.canary and all(fate is Fate.FAILED for fate in first):
        return Next(Step.STOP, failed=len(first), of=len(first))
    if guard.canary and not any(fate is Fate.DELIVERED for fate in first):
        return Next(Step.WAIT)
    return _by_share(guard, recent)


def _by_share(guard: Guard, recent: Sequence[Fate]) -> Next:
    """No more may be on their way than are looked at: the rest waits for what they tell."""
    if guard.stop_above is None:
        return Next(Step.FEED, 1_000_000)
    ended = [fate for fate in recent if fate is not Fate.WAITING]
    failed = ended.count(Fate.FAILED)
    if len(ended) >= FEWEST and 100 * failed > guard.stop_above * len(ended):
        return Next(Step.STOP, failed=failed, of=len(ended))
    most = RECENT - recent.count(Fate.WAITING)
    return Next(Step.FEED, most) if most > 0 else Next(Step.WAIT)
