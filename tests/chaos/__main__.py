"""Lets faults loose on a stage, prints what the tally found, and exits with 1 if it is wrong."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path

import django

MARGIN_SECONDS, SILENCE_SECONDS = 1, 8
"""Leases so short that many of them end; and so long a silence calls for the supervisor."""


def main() -> int:
    options = _options()
    os.environ["WEBHOOK_TEST_SETTINGS"] = json.dumps(_settings(options))
    django.setup()
    if options.logs:
        options.logs.mkdir(parents=True)
        return _run(options, options.logs)
    with tempfile.TemporaryDirectory(prefix="webhook-chaos-") as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, logs: Path) -> int:
    from tests.chaos.rampage import rampage, rest, shuffled
    from tests.chaos.stage import errors, set_up, take_down

    with set_up(options, logs) as stage:
        faults = itertools.islice(shuffled(options.faults, stage.chance), options.most)
        rampage(stage, faults, seconds=options.seconds, every=options.every)
        rested = rest(stage)
    tally = take_down(stage, logs)
    wrong = [*tally.wrong(), *errors(logs, options.faults)]
    sent = tally.sent_by(stage.senders.ports)
    if not options.faults:
        wrong += [f"{name} sent nothing" for name, requests in sent.items() if not requests]
    print(f"seed={options.seed} {tally.figures()}")
    print(f"rested after {rested:.1f} s; silences={stage.supervisor.silences}; sent by {sent}")
    print(*wrong[:50], sep="\n")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long things break")
    parser.add_argument("--every", type=float, default=1.5, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--faults", type=_words, default="", help="which, by name")
    parser.add_argument("--most", type=int, help="how many faults at most")
    parser.add_argument("--clusters", type=int, default=2)
    parser.add_argument("--loops", type=int, default=0, help="how many `webhooks drain --loop`")
    parser.add_argument("--left-dead", action="store_true", help="start nothing anew")
    parser.add_argument("--rate", type=float, default=30, help="events a second")
    parser.add_argument("--events", type=int, default=0, help="how many; 0: as long as it lasts")
    parser.add_argument("--timeout", type=float, default=2, help="of one attempt, in seconds")
    parser.add_argument("--fails", type=float, default=0.12, help="what share is not taken")
    parser.add_argument("--postgres", type=Path, help="the folder of the server that may restart")
    parser.add_argument("--redis", type=int, help="the port of the server that may restart")
    parser.add_argument("--logs", type=Path, help="a new folder in which to leave the logs")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> dict[str, float]:
    """Where nothing is broken, who is silent only waits for the machine."""
    return {
        "TIMEOUT_SECONDS": options.timeout,
        "MAX_TIMEOUT_SECONDS": options.timeout,
        "LEASE_MARGIN_SECONDS": MARGIN_SECONDS,
        "HEALTH_SILENCE_SECONDS": SILENCE_SECONDS if options.faults else 10 * SILENCE_SECONDS,
        "BREAKER_FAILURES": 1_000_000,  # what is always refused must be dead before the run ends
    }


def _words(text: str) -> list[str]:
    return text.split(",") if text else []


if __name__ == "__main__":
    sys.exit(main())
