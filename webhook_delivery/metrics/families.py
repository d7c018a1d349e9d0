"""Writes what the rows say as families of metrics, for `prometheus_client`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate, product
from math import inf
from typing import TypeVar

from django.db import DatabaseError, InterfaceError
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from webhook_delivery import rollups
from webhook_delivery.metrics.gauges import GAUGES, PARTS, Part, Reading
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.totals import ARRIVED, BOUNDS, Ending, Totals

T = TypeVar("T")

ATTEMPTS = "webhook_delivery_attempts"
LASTED = "webhook_delivery_attempt_duration_seconds"
READ = "webhook_delivery_read_ok"
EXPECTED = [
    Ending(ARRIVED, Verdict.DELIVERED),
    *map(Ending._make, product(Fault, (Verdict.RETRY, Verdict.DEAD))),
    *map(Ending._make, product((Fault.SECRET, Fault.EXHAUSTED), (Verdict.DEFERRED,))),
]
"""What is told as 0 before it has happened: else nobody sees its first time as an increase."""


class Rows:
    """A collector that reads the rows of one database whenever it is asked."""

    def __init__(self, using: str) -> None:
        self._using = using

    def collect(self) -> Iterator[Metric]:
        """What could be read in time, and of each part whether it could."""
        totals = self._read(rollups.so_far)
        parts = {name: self._read(partial(_all, part)) for name, part in PARTS.items()}
        if totals is not None:
            yield from of_attempts(totals)
        yield from of_gauges(each for readings in parts.values() for each in readings or ())
        yield of_reading({"attempts": totals, **parts})

    def _read(self, read: Callable[..., T]) -> T | None:
        """What is read, or None: whoever watches wants the rest when the database is slow."""
        try:
            with patience(using=self._using):
                return read(using=self._using)
        except (TooSlow, DatabaseError, InterfaceError):
            return None


def of_attempts(totals: Totals) -> Iterator[Metric]:
    """How many attempts ended how, and how long they took."""
    family = CounterMetricFamily(
        ATTEMPTS, "Attempts, by what they found and led to.", labels=Ending._fields
    )
    for ending, number in (dict.fromkeys(EXPECTED, 0) | {**totals.endings}).items():
        family.add_metric(ending, number)
    yield family
    yield HistogramMetricFamily(
        LASTED,
        "How long attempts took, from resolving the name to the end of the answer.",
        buckets=_buckets(totals),
        sum_value=totals.milliseconds / 1000,
    )


def of_gauges(readings: Iterable[Reading]) -> Iterator[Metric]:
    """A family for each gauge that was read."""
    families: dict[str, GaugeMetricFamily] = {}
    for name, value, labels in readings:
        if name not in families:
            families[name] = GaugeMetricFamily(name, GAUGES[name].help, labels=GAUGES[name].labels)
        families[name].add_metric(labels, value)
    yield from families.values()


def of_reading(parts: Mapping[str, object]) -> Metric:
    """Which parts could be read; None: that one could not."""
    family = GaugeMetricFamily(
        READ, "1 if this part could be read in time; 0: what it tells is missing.", labels=["part"]
    )
    for name, found in parts.items():
        family.add_metric([name], float(found is not None))
    return family


def _all(part: Part, using: str) -> list[Reading]:
    return list(part(using))


def _buckets(totals: Totals) -> list[tuple[str, float]]:
    """How many kept within each bound: those that kept within a lower one among them."""
    bounds = [*(bound / 1000 for bound in BOUNDS), inf]
    counts = [*totals.durations, *[0] * (len(bounds) - len(totals.durations))]
    named = ("+Inf" if bound == inf else str(bound) for bound in bounds)
    return list(zip(named, accumulate(counts), strict=True))
