"""Prunes as a worker's task does, while anything waits to be sent; or to the end, unpaused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from webhook_delivery import pruning
from webhook_delivery.models import Delivery


def prepare(*, to_the_end: bool = False) -> Callable[[], Mapping[str, Any]]:
    """How many deliveries it deleted, and how long the longest bite took."""
    connection.ensure_connection()

    def prune() -> Mapping[str, Any]:
        bites = _Bites()
        gone = 0
        while to_the_end or Delivery.objects.unfinished().exists():
            pauses = {"pauses": 0.0} if to_the_end else {}
            tally = pruning.prune(using="default", seconds=2, told=bites, **pauses)
            gone += tally.deliveries
            if to_the_end and tally.done:
                break
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
