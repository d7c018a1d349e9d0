"""Lets OpenTelemetry observe what the rows say: the gauges that Prometheus scrapes, as its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, isfinite

from django.db import DatabaseError, InterfaceError, connections, router
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from webhook_delivery.logs import log_of
from webhook_delivery.metrics.gauges import GAUGES, PARTS, Reading
from webhook_delivery.models import Delivery
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.telemetry import NAME
from webhook_delivery.version import __version__

logger = log_of(__name__)

FRESH_SECONDS = 1.0
"""The instruments of one collection share what was read."""


def observe(provider: metrics.MeterProvider | None = None, *, using: str | None = None) -> None:
    """
    Observe the rows whenever metrics are collected; call it once, in one process of the project.

    What each process counts of itself needs no call. Rows are the same for all processes: observed
    by several, they are exported as often.

    provider: whose instruments they are; None: that which the process has set.
    using: the database; None: where the router reads deliveries.
    """
    meter = metrics.get_meter(NAME, __version__, provider)
    rows = _Rows(using or router.db_for_read(Delivery))
    for name, gauge in GAUGES.items():
        unit = "s" if name.endswith("_seconds") else "1"
        meter.create_observable_gauge(named(name), [rows.callback(name)], unit, gauge.help)


def named(name: str) -> str:
    """As OpenTelemetry names what Prometheus calls so: dots, and no unit."""
    return name.removesuffix("_seconds").replace(f"{NAME}_", f"{NAME}.", 1)


class _Rows:
    """What the rows said a moment ago."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._read_at = -inf
        self._readings: Sequence[Reading] = ()

    def callback(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observed(options: CallbackOptions) -> Iterator[Observation]:
            labels = GAUGES[name].labels
            for reading in self._fresh():
                if reading.name == name and isfinite(reading.value):  # OpenTelemetry knows no inf
                    told = dict(zip(labels, reading.labels, strict=True))
                    yield Observation(reading.value, told)

        return observed

    def _fresh(self) -> Sequence[Reading]:
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            self._readings = [each for part in PARTS for each in self._part(part)]
            self._read_at = time.monotonic()
        return self._readings

    def _part(self, name: str) -> list[Reading]:
        """Read in the exporter's own thread: nobody else closes its connection."""
        try:
            with patience(using=self._using):
                return list(PARTS[name](self._using))
        except (TooSlow, DatabaseError, InterfaceError):
            logger.exception("What the rows say could not be read: %s", name)
            return []
        finally:
            if not connections[self._using].in_atomic_block:
                connections[self._using].close()
