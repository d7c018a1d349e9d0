"""Runs the workers: processes of their own that get ready, wait for the word, work and report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent
TAIL = 20


class WorkerFailed(Exception):
    """A worker ended without a report; the message is the end of what it said."""


class Worker:
    """One process that measures one thing, so that no run leaves anything behind for the next."""

    def __init__(self, name: str, *, env: Mapping[str, str], log: Path, **arguments: Any) -> None:
        self._name, self._log = name, log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.workers", name],
                cwd=ROOT,
                env=plain_environment() | dict(env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._tell(json.dumps(arguments))

    def ready(self) -> None:
        """Wait until all that is not to be measured has been done."""
        self._hear()

    def go(self) -> None:
        self._tell("go")

    def report(self) -> dict[str, Any]:
        """What it measured, once it has ended."""
        found: dict[str, Any] = self._hear()
        self._process.wait()
        return found

    def end(self) -> None:
        """Whatever it still does is of no use any more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        pipe: IO[str] = self._process.stdin  # type: ignore[assignment] # it is piped
        pipe.write(f"{line}\n")
        pipe.flush()

    def _hear(self) -> Any:
        pipe: IO[str] = self._process.stdout  # type: ignore[assignment] # it is piped
        line = pipe.readline()
        if not line:
            self._process.wait()
            said = self._log.read_text(errors="replace").splitlines()[-TAIL:]
            raise WorkerFailed("\n".join([f"{self._name} failed:", *said]))
        return json.loads(line)


def together(*workers: Worker) -> list[dict[str, Any]]:
    """Let them begin at the same moment, and wait for all."""
    try:
        for worker in workers:
            worker.ready()
        for worker in workers:
            worker.go()
        return [worker.report() for worker in workers]
    finally:
        for worker in workers:
            worker.end()


def plain_environment() -> dict[str, str]:
    """Ours, without what chooses a database or a broker."""
    chosen = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "WEBHOOK_DEMO")
    return {name: value for name, value in os.environ.items() if name not in chosen}
