"""Publishes at given moments, and tells when each event was committed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db import transaction

from benchmarks.workers import WAKE
from webhook_delivery import publish

PADDING = 60
"""About as many bytes as a body has besides its padding."""


def prepare(
    *, moments: list[float], event_types: list[str], body_bytes: int = 1024
) -> Callable[[], Mapping[str, Any]]:
    """
    Publish once in advance, for a process connects to its database and its broker only once.

    moments: seconds after the beginning; the event types are taken in turn.
    """
    publish(WAKE, b"{}")
    committed: dict[int, float] = {}
    padding = "x" * max(0, body_bytes - PADDING)

    def offer() -> Mapping[str, Any]:
        began, wall = time.monotonic(), time.time()
        for number, moment in enumerate(moments):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            _publish_one(event_types[number % len(event_types)], number, padding, committed)
        late = time.monotonic() - began - moments[-1]
        return {"committed": committed, "first": wall, "late": late}

    return offer


def _publish_one(event_type: str, number: int, padding: str, committed: dict[int, float]) -> None:
    """The first callback of the commit tells its time: before the doorbell's, which is ours."""
    body = json.dumps({"n": number, "at": time.time(), "padding": padding}).encode()
    with transaction.atomic():
        transaction.on_commit(partial(_stamp, committed, number))
        publish(event_type, body)


def _stamp(committed: dict[int, float], number: int) -> None:
    committed[number] = time.time()
