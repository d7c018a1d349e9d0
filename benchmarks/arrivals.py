"""The receiver as scenarios see it: its URLs, and what has arrived."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import IO, Any, Self

from benchmarks.running import ROOT


@dataclass(frozen=True)
class Arrival:
    """One request, as it arrived; times are seconds since the epoch."""

    path: str
    n: int | None
    """The number in its body, by which its commit is found."""
    at: float | None
    """When it was published, as its body tells."""
    arrived: float
    id: str
    attempt: str


class Receiver:
    """`benchmarks.receiver` in a process of its own, while a `with` block runs."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.receiver"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        said: IO[str] = self._process.stdout  # type: ignore[assignment] # it is piped
        self._base = f"http://127.0.0.1:{int(said.readline())}"
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def url(self, path: str) -> str:
        return self._base + path

    def arrivals(self, of: str = "/") -> list[Arrival]:
        """What has arrived at the paths that begin so."""
        return [Arrival(**record) for record in self._ask("GET", f"/records?of={of}")]

    def forget(self) -> None:
        self._ask("DELETE", "/records")

    def wait_for(self, count: int, of: str = "/", *, seconds: float) -> list[Arrival]:
        """What has arrived once it is so many, or so many seconds have passed."""
        until = time.monotonic() + seconds
        while self._ask("GET", f"/count?of={of}") < count and time.monotonic() < until:
            time.sleep(0.2)
        return self.arrivals(of)

    def _ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self.url(path), method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
