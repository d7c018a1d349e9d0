"""Deletes what retention lets go: a bounded bite at a time, beside drains and others like it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from webhook_delivery import retention
from webhook_delivery.clock import Now
from webhook_delivery.logs import log_of
from webhook_delivery.models import Walk
from webhook_delivery.pruning.deliveries import Deliveries
from webhook_delivery.pruning.events import Bodies, Events
from webhook_delivery.pruning.foretelling import foretell
from webhook_delivery.pruning.records import Records
from webhook_delivery.pruning.tally import Tally

__all__ = ["Pruner", "Tally", "foretell", "prune", "take_turn"]

logger = log_of(__name__)

PAUSES = 1.0
"""After each bite as long a pause as it took: the database is there for the drains."""
PAUSES_BETWEEN_DRAINS = 4.0
"""The same, where the process that bites would send meanwhile."""
TURN, LONG_AGO = timedelta(minutes=2), datetime(2000, 1, 1, tzinfo=UTC)
"""A task that prunes has ended by then, and let the next one begin."""
REST_SECONDS = 60
"""How long nothing is looked for, once nothing was left."""


class Kind(Protocol):
    """Rows that go by one rule."""

    def bite(self, tally: Tally) -> bool:
        """Take some of them, in one short transaction; False: nothing more was there."""


def prune(
    *,
    using: str,
    seconds: float,
    told: Callable[[Tally], None] = lambda tally: None,
    pauses: float = PAUSES,
) -> Tally:
    """
    Delete what may go, for so many seconds at most; what is left is for the next run. One bite is
    taken in any case.

    told: hears after each bite what is gone so far. pauses: how long to wait after each bite, as a
    multiple of the time that it took. Any number may run at once. Raises what went wrong with one
    kind of rows, when all others are done, or the time is up.
    """
    run, began = _Run(using), time.monotonic()
    ends = began + seconds
    while run.step():
        told(run.tally)
        paused = time.monotonic() + pauses * (time.monotonic() - began)
        if paused >= ends:
            run.complain()
            return run.tally
        time.sleep(max(0.0, paused - time.monotonic()))
        began = time.monotonic()
    run.complain()
    run.tally.done = True
    return run.tally


def take_turn(*, using: str, held: bool = False) -> bool:
    """
    Whether no task has pruned for a while: then who asks lets one begin, and nobody else does.

    held: it is one of these tasks that asks: its turn goes on.
    """
    Walk.objects.using(using).get_or_create(pk="turns", defaults={"began_at": LONG_AGO})
    turn = Walk.objects.using(using).filter(pk="turns")
    over = turn if held else turn.filter(began_at__lt=Now() - TURN)
    return bool(over.update(began_at=Now()))


class Pruner:
    """Takes a bite now and then, however often it is called; for a process that sends besides."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._run = _Run(using)
        self._next = 0.0

    def __call__(self) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        if self._bites():
            took = time.monotonic() - began
            self._next = time.monotonic() + PAUSES_BETWEEN_DRAINS * took
        else:
            self._run, self._next = _Run(self._using), began + REST_SECONDS

    def left(self) -> float:
        """In how many seconds the next bite is due."""
        return self._next - time.monotonic()

    def _bites(self) -> bool:
        if self._run.step():
            return True
        try:
            self._run.complain()
        except Exception:  # what is in flight must still be recorded
            logger.exception("Something could not be pruned; it is tried again later")
        return False


class _Run:
    """All kinds in turn, until none of them has anything left."""

    def __init__(self, using: str) -> None:
        self.tally = Tally()
        self._left = deque[Kind](_kinds(using))
        self._wrong: Exception | None = None

    def step(self) -> bool:
        """Take one bite; False: there was nothing."""
        while self._left:
            kind = self._left.popleft()
            if self._bites(kind):
                self._left.append(kind)
                return True
        return False

    def complain(self) -> None:
        """Raise what went wrong first."""
        if self._wrong:
            raise self._wrong

    def _bites(self, kind: Kind) -> bool:
        """What is wrong with one kind of rows keeps no other from going."""
        try:
            return kind.bite(self.tally)
        except Exception as error:
            self._wrong = self._wrong or error
            return False


def _kinds(using: str) -> list[Kind]:
    return [
        *(Deliveries(state, using) for state in retention.SETTING),
        Events(using),
        Bodies(using),
        Records("actions", retention.actions, using),
        Records("notices", retention.notices, using),
        Records("answers", retention.answers, using, order="created_at"),
        Records("batches", retention.batches, using),
        Records("hours", retention.hours, using, order="hour"),
    ]
