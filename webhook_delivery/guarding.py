"""Whether a redelivery of many may go on, by how those that it sent have fared (pure)."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 100
"""How many of the last are looked at."""
FEWEST = 20
"""Of fewer, a share says little."""

SENDING, HELD, DELIVERED = "sending", "held", "delivered"
"""States of a delivery."""


class Fate(enum.Enum):
    """What has become of one that was sent."""

    WAITING = enum.auto()
    HELD = enum.auto()
    """Its endpoint was paused or switched off first: nobody knows when it will be sent."""
    DELIVERED = enum.auto()
    FAILED = enum.auto()


def fate(state: str, *, tried: bool) -> Fate:
    """
    Say what has become of one that is in this state now.

    tried: whether an attempt has begun since it was sent again.
    """
    if state == DELIVERED:
        return Fate.DELIVERED
    if tried and state != SENDING:
        return Fate.FAILED
    return Fate.HELD if state == HELD else Fate.WAITING


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of those that were sent have arrived, have failed again, and still wait."""

    delivered: int = 0
    failed: int = 0
    waiting: int = 0
    gone: int = 0
    """Of so many more nothing is kept any more."""


def counted(fates: Counter[Fate], *, sent: int) -> Progress:
    """How many each fate has met, of those that were sent; what is held waits, too."""
    waiting = fates[Fate.WAITING] + fates[Fate.HELD]
    gone = max(0, sent - fates.total())
    return Progress(fates[Fate.DELIVERED], fates[Fate.FAILED], waiting, gone)


class Step(enum.Enum):
    """What to do next."""

    FEED = enum.auto()
    WAIT = enum.auto()
    STOP = enum.auto()


@dataclass(frozen=True, slots=True)
class Guard:
    """When a redelivery pauses itself."""

    canary: int = 0
    """So many go first, and are waited for; if none arrives, it stops. 0: none."""
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
    if not guard.canary or Fate.DELIVERED in first:
        return _by_share(guard, recent)
    if Fate.WAITING in first:
        return Next(Step.WAIT)
    return Next(Step.STOP, failed=first.count(Fate.FAILED), of=len(first))


def _by_share(guard: Guard, recent: Sequence[Fate]) -> Next:
    """No more may be on their way than are looked at: the rest waits for what they tell."""
    if guard.stop_above is None:
        return Next(Step.FEED, 1_000_000)
    ended = [fate for fate in recent if fate in (Fate.DELIVERED, Fate.FAILED)]
    failed = ended.count(Fate.FAILED)
    if len(ended) >= FEWEST and 100 * failed > guard.stop_above * len(ended):
        return Next(Step.STOP, failed=failed, of=len(ended))
    most = RECENT - recent.count(Fate.WAITING)
    return Next(Step.FEED, most) if most > 0 else Next(Step.WAIT)
