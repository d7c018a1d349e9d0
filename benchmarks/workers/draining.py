"""Ours: one process sends what is due, as `webhooks drain` does, until nothing is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from benchmarks.workers.counting import Statements
from webhook_delivery import loop


def prepare(*, seconds: float = 900) -> Callable[[], Mapping[str, Any]]:
    """`seconds`: when nothing new is begun, so that a run ends."""
    statements = Statements()
    connection.ensure_connection()

    def drain() -> Mapping[str, Any]:
        report = loop.once(using="default", seconds=seconds)
        return {"sent": report.delivered, "statements": statements.take()}

    return drain
