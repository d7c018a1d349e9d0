"""Starts a peer's own workers, and leaves none of them behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

GRACE_SECONDS = 10.0
LOG = Path(sys.prefix) / "workers.log"


@contextmanager
def running(*commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run each command (`-m …` or a file) with this Python, logging to the environment's folder."""
    with LOG.open("wb") as log:
        processes = [_started(command, log) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _ended(process)


def _started(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """In a session of its own, so that its children can be ended with it."""
    command = [sys.executable, *command]
    return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)


def _ended(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):  # a request that hangs keeps its worker from ending
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
