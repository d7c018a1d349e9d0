"""What a scenario works with: databases, a web server, a receiver, workers, and how many runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.arrivals import Receiver
from benchmarks.databases import SERVERS, Database
from benchmarks.figures import percentile, rounded
from benchmarks.running import Worker, together
from benchmarks.web import Web

Found = TypeVar("Found")
Contestants = Mapping[str, Callable[[float], Found]]

WARM_UP = 0.1
"""The share of the work that the round before the first is made with; its figures are dropped."""


class Missing(Exception):
    """A scenario needs a server that is not there; the message is why."""


class Told:
    """A finding that is worth a word while the benchmark goes on."""


@dataclass(frozen=True)
class Samples(Told):
    """Durations of one run, in ms; infinite is what never happened."""

    values: list[float]

    def percentile(self, share: float) -> float:
        return percentile(self.values, share)

    @classmethod
    def pooled(cls, runs: Iterable[Samples]) -> Samples:
        return cls([value for run in runs for value in run.values])

    def __str__(self) -> str:
        return f"p50 {rounded(self.percentile(0.5))} ms, p99 {rounded(self.percentile(0.99))} ms"


@dataclass
class Stage:
    """Set up once for all scenarios."""

    folder: Path
    web: Web
    receiver: Receiver
    runs: int
    quick: bool

    @property
    def scale(self) -> float:
        """How much of the full work one run does."""
        return 0.2 if self.quick else 1.0

    @contextmanager
    def database(self, engine: str, name: str) -> Iterator[Database]:
        """A database with all tables and nothing in them, for as long as the block lasts."""
        if SERVERS[engine].missing:
            raise Missing(SERVERS[engine].missing)
        database = Database(engine, f"bench_{name}", self.folder)
        try:
            yield database.create()
        finally:
            database.drop()

    def engines(self) -> list[str]:
        """The databases that answer; of each other one, why it is left out."""
        for server in SERVERS.values():
            if server.missing:
                self.say(f"{server.name} is left out: {server.missing}")
        return [engine for engine, server in SERVERS.items() if not server.missing]

    def work(
        self,
        worker: str,
        *,
        env: Mapping[str, str] | None = None,
        processes: int = 1,
        **arguments: Any,
    ) -> list[dict[str, Any]]:
        """Run a worker, or several at the same time, and return their reports."""
        crew = [
            Worker(worker, env=env or {}, log=self.log(f"{worker}-{number}"), **arguments)
            for number in range(processes)
        ]
        return together(*crew)

    def compare(self, contestants: Contestants[Found]) -> dict[str, list[Found]]:
        """
        Run them in turn, round by round, so that whatever disturbs a round disturbs all.

        A contestant is given its share of the full work; a small round comes first, to warm up.
        """
        found: dict[str, list[Found]] = {name: [] for name in contestants}
        for name, contestant in contestants.items():
            self._timed(f"warm-up: {name}", contestant, WARM_UP * self.scale)
        for number in range(1, self.runs + 1):
            for name, contestant in contestants.items():
                label = f"run {number} of {self.runs}: {name}"
                found[name].append(self._timed(label, contestant, self.scale))
        return found

    def log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-').replace(',', '')}.log"

    def say(self, line: str) -> None:
        print(f"  {line}", flush=True)

    def _timed(self, label: str, contestant: Callable[[float], Found], share: float) -> Found:
        began = time.monotonic()
        found = contestant(share)
        said = f"{found}" if isinstance(found, Told) else ""
        self.say(f"{label} · {said}{' · ' if said else ''}{time.monotonic() - began:.0f} s in all")
        return found
