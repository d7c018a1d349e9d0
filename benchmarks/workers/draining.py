"""Ours: one process sends what is due, as `webhooks drain` does, until nothing is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from benchmarks.workers.counting import Statements
from webhook_delivery import loop
from webhook_delivery.drain import drain as send_due
from webhook_delivery.management.heap import frozen


def prepare(*, seconds: float = 900, prunes: bool = True) -> Callable[[], Mapping[str, Any]]:
    """
    seconds: when nothing new is begun, so that a run ends.
    prunes: whether it deletes for a moment when it has sent, as the command does.
    """
    statements = Statements()
    connection.ensure_connection()

    def drain() -> Mapping[str, Any]:
        begin = loop.once if prunes else send_due
        with frozen():
            report = begin(using="default", seconds=seconds)
        return {"sent": report.delivered, "statements": statements.take()}

    return drain
