"""Puts what several runs found into one line each."""

from __future__ import annotations

import math
from statistics import median
from typing import Any


def spread(values: list[float], digits: int = 1) -> str:
    """Median, and the least and the most."""
    middle, least, most = median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})"


def rate(run: dict[str, Any]) -> float:
    """Deliveries a second."""
    return float(run["sent"] / run["seconds"]) if run["seconds"] else 0.0


def percentile(run: dict[str, Any], share: float) -> float:
    """The latency that `share` of what was offered did not exceed; infinite: it did not arrive."""
    rank = math.ceil(share * run["offered"])
    arrived = sorted(run["latencies"])
    return float(arrived[rank - 1]) if rank <= len(arrived) else math.inf
