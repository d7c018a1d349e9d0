"""Offers events at a steady rate, and watches what becomes of them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

STANDSTILL_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 60.0


@dataclass
class Watched:
    """How many there were in the end, and when the first and the last came (time.time())."""

    count: int
    first: float
    last: float


def watch(
    count: Callable[[], int], expected: int, every: float = 0.1, longest: float = math.inf
) -> Watched:
    """Look until `expected` are there, none came for STANDSTILL_SECONDS, or `longest` is over."""
    found, end = Watched(0, 0.0, time.time()), time.time() + longest
    while found.count < expected and time.time() < min(end, found.last + STANDSTILL_SECONDS):
        time.sleep(every)
        now, at = count(), time.time()
        if now > found.count:
            found = Watched(now, found.first or at, at)
    return found


def steadily(rate: float, seconds: float) -> Iterator[None]:
    """Come round `rate` times a second for `seconds`; what is late is made up for at once."""
    start = time.monotonic()
    for number in range(round(rate * seconds)):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        yield


@dataclass
class Healthy:
    """Arrivals at the endpoints that answer, as the receiver tells them."""

    urls: list[str]
    asked: int = 0
    latencies: list[float] = field(default_factory=list)
    seen: set[tuple[str, float]] = field(default_factory=set)
    repeated: int = 0

    def count(self) -> int:
        for arrival in self._new():
            self._keep(arrival)
        return len(self.latencies)

    def _new(self) -> list[dict[str, Any]]:
        server = urlsplit(self.urls[0])
        with urlopen(f"{server.scheme}://{server.netloc}/arrivals/{self.asked}") as answer:
            arrivals: list[dict[str, Any]] = json.load(answer)
        self.asked += len(arrivals)
        return arrivals

    def _keep(self, arrival: dict[str, Any]) -> None:
        if arrival["path"] not in self._paths:
            return
        if (key := (arrival["path"], arrival["committed"])) in self.seen:
            self.repeated += 1
            return
        self.seen.add(key)
        self.latencies.append(arrival["arrived"] - arrival["committed"])

    @property
    def _paths(self) -> set[str]:
        return {urlsplit(url).path for url in self.urls}


def isolated(
    publish: Callable[[], None], healthy: list[str], rate: float, seconds: float
) -> dict[str, Any]:
    """Publish steadily, wait for the healthy arrivals, and say how long each took."""
    arrivals = Healthy(healthy)
    arrivals.count()
    arrivals.latencies.clear()
    for _ in steadily(rate, seconds):
        publish()
    offered = round(rate * seconds) * len(healthy)
    watch(arrivals.count, offered, every=0.5, longest=LONGEST_WAIT_SECONDS)
    return {
        "latencies": arrivals.latencies,
        "sent": len(arrivals.latencies),
        "offered": offered,
        "repeated": arrivals.repeated,
    }
