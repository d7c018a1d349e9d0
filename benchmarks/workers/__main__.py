"""Runs one worker: prepares it, waits for the word, measures, and prints its report as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from importlib import import_module
from typing import Any

from benchmarks.workers.trusting import BUNDLE, trust


def main(name: str) -> None:
    """Talk in lines: arguments are read, "ready" written, the word awaited, the report written."""
    written = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints must not be the report
    arguments = json.loads(sys.stdin.readline())
    trust(os.environ.get(BUNDLE, ""))
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import_module("django").setup()
    work = import_module(f"benchmarks.workers.{name}").prepare(**arguments)
    written.write('"ready"\n')
    sys.stdin.readline()
    written.write(json.dumps(_measured(work)) + "\n")


def _measured(work: Any) -> dict[str, Any]:
    """What it found, when it began and ended (monotonic), its CPU seconds and its peak memory."""
    spent, began = time.process_time(), time.monotonic()
    found = work() or {}
    times = {"began": began, "ended": time.monotonic(), "cpu": time.process_time() - spent}
    return {**times, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **found}


if __name__ == "__main__":
    main(sys.argv[1])
