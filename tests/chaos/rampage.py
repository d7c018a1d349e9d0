"""Breaks things at random for a while, then lets everything come to rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from random import Random

from django.db import DatabaseError, InterfaceError, connection

from tests.chaos.faults import Stage, bury, supervise
from webhook_delivery.models import Delivery

QUIET_SECONDS = 90
"""How long it may take, after the last fault, until everything has ended."""


def rampage(stage: Stage, faults: Iterator[str], *, seconds: float, every: float) -> None:
    """Break one thing after another, `every` so many seconds, while the publisher goes on."""
    ends, due = time.monotonic() + seconds, time.monotonic() + every
    fault = next(faults, None)
    while time.monotonic() < ends and stage.publisher.process.running():
        supervise(stage)
        stage.thaw()
        stage.senders.look(stage.supervisor.members)
        if fault and time.monotonic() >= due:
            bury(stage)
            if stage.break_(fault):
                fault = next(faults, None)
                due = max(due + stage.chance.uniform(0.5, 1.5) * every, time.monotonic())
        time.sleep(0.1)
    stage.thaw(everything=True)
    stage.publisher.process.stop()
    bury(stage)


def rest(stage: Stage) -> float:
    """Wait until nothing is unfinished. Returns for how many seconds."""
    began = time.monotonic()
    while _unfinished():
        supervise(stage)
        if time.monotonic() - began > QUIET_SECONDS:
            break
        time.sleep(0.1)
    return time.monotonic() - began


def shuffled(kinds: Sequence[str], chance: Random) -> Iterator[str]:
    """Every kind once, in some order, and again in another."""
    while kinds:
        yield from chance.sample(kinds, len(kinds))


def _unfinished() -> bool:
    try:
        return Delivery.objects.unfinished().exists()
    except (DatabaseError, InterfaceError):
        connection.close()
        return True
