"""Fills a database with deliveries of the past: some that were sent, copied until they are many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Max

from benchmarks.workers.filling import prepare as prepare_filling
from benchmarks.workers.multiplying import multiply
from webhook_delivery import loop, publish
from webhook_delivery.models import Attempt, Event, RollUp

AT_ONCE = 100_000
OLD_BODY = b'{"type":"bench.all","timestamp":"2026-01-01T00:00:00.000Z","data":{"number":1}}'


def prepare(*, urls: list[str], deliveries: int) -> Callable[[], Mapping[str, Any]]:
    """One event for every endpoint at a time, until there are so many deliveries."""

    def grow() -> Mapping[str, Any]:
        prepare_filling(urls=urls)()
        event: Event = publish("bench.all", OLD_BODY)
        loop.once(using="default", seconds=60)
        left = deliveries // len(urls) - 1
        while left > 0:
            multiply(event, min(left, AT_ONCE), ago="100 milliseconds")
            left -= AT_ONCE
        _add_up()
        with connection.cursor() as cursor:
            cursor.execute("vacuum analyze")
        return {}

    return grow


def _add_up() -> None:
    """Attempts of the past were added up when they were made: no drain has that left to do."""
    last = Attempt.objects.aggregate(last=Max("pk"))["last"]
    RollUp.objects.update_or_create(pk=1, defaults={"counted": last, "seen": last})
