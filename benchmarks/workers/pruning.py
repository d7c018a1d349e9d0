"""Prunes as a worker's task does, while anything waits to be sent; or for a while, unpaused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from webhook_delivery import pruning
from webhook_delivery.models import Delivery


def prepare(*, seconds: float = 0) -> Callable[[], Mapping[str, Any]]:
    """
    How many deliveries it deleted, and how long the longest bite took.

    seconds: for so long, whatever waits to be sent.
    """
    connection.ensure_connection()

    def prune() -> Mapping[str, Any]:
        bites = _Bites()
        gone = 0
        if seconds:
            tally = pruning.prune(using="default", seconds=seconds, told=bites, pauses=0)
            return {"pruned": tally.deliveries, "longest": bites.longest}
        while Delivery.objects.unfinished().exists():
            gone += pruning.prune(using="default", seconds=2, told=bites).deliveries
        return {"pruned": gone, "longest": bites.longest}

    return prune


class _Bites:
    """Times what lies between one report and the next: a bite, and the pause before it."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.monotonic()

    def __call__(self, tally: pruning.Tally) -> None:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now
