"""Drains without django-q2: once, for cron and for tests, or in a process of its own."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

from django.db import DatabaseError, InterfaceError, connections

from webhook_delivery import doorbell, lifecycle, pruning, pump
from webhook_delivery.drain import drain
from webhook_delivery.listening import Listener
from webhook_delivery.logs import log_of
from webhook_delivery.models import RedeliveryBatch
from webhook_delivery.report import Report
from webhook_delivery.sweeping import guarded, post, tidy

logger = log_of(__name__)

ROUND_SECONDS = 20
"""How often lost claims and strays are looked for, also while requests are in flight."""
RUN_SECONDS = 900
"""How long one drain goes on without a pause, before it may wait for requests that hang."""
PRUNE_SECONDS = 5
"""How long is pruned, at most, after one drain that is not followed by others."""


def once(*, using: str, seconds: float, most: int = sys.maxsize) -> Report:
    """
    Take over what was lost, send what is due, and return what was done.

    Redeliveries of many are fed meanwhile; while one is to be fed within the time, it is waited
    for, and what else falls due until then is sent too.

    seconds: then nothing new is begun. most: so many attempts are made at most.
    """
    _begin(using)
    post(using=using)
    stay = partial(_stay, using, time.monotonic() + seconds)
    feed = pump.Feeder(using)
    return drain(using=using, seconds=seconds, most=most, stay=stay, meanwhile=feed)


def run(*, using: str, stopped: Callable[[], bool]) -> None:
    """Send whatever falls due until `stopped()`; what is in flight then is waited for."""
    with closing(Listener(using=using, stopped=stopped)) as listener:
        rounds = _Rounds(using, listener)
        while not stopped():
            try:
                report = drain(
                    using=using,
                    seconds=RUN_SECONDS,
                    stay=lambda: ROUND_SECONDS,
                    meanwhile=rounds,
                    stopped=stopped,
                    rest=listener.rest,
                )
                rounds.write()
                listener.rest(min(rounds.left(), report.due_in()))
            except (DatabaseError, InterfaceError):
                logger.exception("The database is away; trying again")
                connections[using].close()
                time.sleep(1)


class _Rounds:
    """Begins a round whenever the last is over."""

    def __init__(self, using: str, listener: Listener) -> None:
        self._using, self._listener = using, listener
        self._feed, self._prune = pump.Feeder(using), pruning.Pruner(using)
        self._over = 0.0
        self._wrote = True

    def __call__(self) -> bool:
        if self._over > time.monotonic():
            self._prune()
            return self._feed() | self._listener.heard()
        self._over, self._wrote = time.monotonic() + ROUND_SECONDS, False
        self._listener.prove()
        _begin(self._using)
        return True

    def write(self) -> None:
        """Send the mails that are due, once in a round: between drains."""
        if not self._wrote:
            self._wrote = True
            post(using=self._using)

    def left(self) -> float:
        """Until it must be called again, at the latest."""
        return min(self._over - time.monotonic(), self._prune.left())


def prune(*, using: str) -> None:
    """Delete what is kept no longer, for some seconds: after a drain that no others follow."""
    guarded(partial(pruning.prune, using=using, seconds=PRUNE_SECONDS))


def _begin(using: str) -> None:
    """Do the sweep's work too: there may be no other."""
    for part in (doorbell.answer_alone, doorbell.begin_sweep, lifecycle.rescue):
        guarded(partial(part, using=using))
    tidy(using=using)


def _stay(using: str, ends: float) -> float:
    """To the end, if a redelivery of many is to be fed before that; else not at all."""
    due = RedeliveryBatch.objects.using(using).first_due_in()
    return math.inf if due is not None and due < ends - time.monotonic() else 0.0
