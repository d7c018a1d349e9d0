"""Drains without django-q2: once, for cron and for tests, or in a process of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

from django.db import DatabaseError, InterfaceError, connections

from webhook_delivery import doorbell, endpoints, lifecycle
from webhook_delivery.drain import drain
from webhook_delivery.listening import Listener
from webhook_delivery.report import Report
from webhook_delivery.scheduling import schedules

logger = logging.getLogger(__name__)

ROUND_SECONDS = 20
"""How long one round lasts; lost claims and strays are looked for at the start of each."""


def once(*, using: str, seconds: float) -> Report:
    """Take over what was lost, send what is due, and return what was done; begin nothing late."""
    _begin(using)
    return drain(using=using, seconds=seconds)


def run(*, using: str, stopped: Callable[[], bool]) -> None:
    """Send whatever falls due until `stopped()`; what is in flight then is waited for."""
    with closing(Listener(using=using, stopped=stopped)) as listener:
        while not stopped():
            try:
                _round(using, stopped, listener)
            except (DatabaseError, InterfaceError):
                logger.exception("The database is away; trying again")
                connections[using].close()
                time.sleep(1)


def _round(using: str, stopped: Callable[[], bool], listener: Listener) -> None:
    listener.prove()
    _begin(using)
    ends = time.monotonic() + ROUND_SECONDS
    while not stopped() and (left := ends - time.monotonic()) > 0:
        drain(
            using=using,
            seconds=left,
            stay=lambda: ROUND_SECONDS,
            stopped=stopped,
            rest=listener.rest,
        )
        listener.rest(ends - time.monotonic())


def _begin(using: str) -> None:
    """Do the sweep's work too: there may be no other."""
    doorbell.answer(using=using)
    doorbell.begin_sweep(using=using)
    for part in (
        partial(lifecycle.rescue, using=using),
        partial(endpoints.settle_strays, using=using),
        partial(lifecycle.move_up, using=using),
        schedules.ensure,
    ):
        try:
            part()
        except Exception:  # a row that defies one part must not keep what is due from being sent
            logger.exception("A part of the sweep failed; the rest goes on")
