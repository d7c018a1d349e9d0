"""Runs the scenarios that are asked for, keeps their raw figures, and writes the results."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.arrivals import Receiver
from benchmarks.rendering import render
from benchmarks.running import ROOT
from benchmarks.scenarios import NAMES, scenario
from benchmarks.stage import Stage
from benchmarks.web import Web

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
RUNS, QUICK_RUNS = 5, 1


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended."))  # so that all is torn down
    folder = ROOT / ".build" / "bench"
    target = RESULTS
    if options.quick:  # its figures must not take the place of real ones
        folder = folder / "quick"
        target = folder / "RESULTS.md"
    folder.mkdir(parents=True, exist_ok=True)
    with _stage(folder, options) as stage:
        failed = [name for name in options.only if not _run(name, stage)]
    print(f"\n{render(_raw(folder), target=target)}\n\nWritten to {target.relative_to(ROOT)}.")
    return _conclude(failed)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=NAMES, help=f"some of: {','.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="one short run of each, to try it out")
    parser.add_argument("--runs", type=int, help=f"of each ({RUNS}; quick: {QUICK_RUNS})")
    options = parser.parse_args(arguments)
    options.runs = options.runs or (QUICK_RUNS if options.quick else RUNS)
    return options


def _names(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    for name in chosen:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(NAMES)}")
    return chosen


@contextmanager
def _stage(folder: Path, options: argparse.Namespace) -> Iterator[Stage]:
    with ExitStack() as stack:
        web, receiver = stack.enter_context(Web(folder)), stack.enter_context(Receiver())
        yield Stage(folder, web, receiver, runs=options.runs, quick=options.quick)


def _run(name: str, stage: Stage) -> bool:
    """Run one scenario; what fails in it must not cost the figures of the others."""
    module = scenario(name)
    heading = (module.__doc__ or "").strip()
    print(f"\n── {name}: {heading}", flush=True)
    began = time.monotonic()
    try:
        section = module.run(stage)
    except Exception as error:
        traceback.print_exc()
        print(f"  {name} failed: {error}", flush=True)
        return False
    found = {"heading": heading, "section": section.as_json(), **_provenance(stage)}
    (stage.folder / f"{name}.json").write_text(json.dumps(found, indent=1))
    print(f"  {name} took {time.monotonic() - began:.0f} s", flush=True)
    return True


def _provenance(stage: Stage) -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "runs": stage.runs,
        "quick": stage.quick,
        "machine": machine.described(),
        "versions": machine.versions(),
    }


def _raw(folder: Path) -> dict[str, dict[str, Any]]:
    files = {name: folder / f"{name}.json" for name in NAMES}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def _conclude(failed: list[str]) -> int:
    if failed:
        print(f"Failed: {', '.join(failed)}; the logs are in .build/bench/.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
