"""Sets the stage: a receiver and its endpoints, a publisher, and the processes that deliver."""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import webhook_delivery
from example_project.processes import Cluster, Process
from tests.chaos.faults import SERVER_FAULTS, Stage
from tests.chaos.receiver import NEVER, Request
from tests.chaos.senders import Senders
from tests.chaos.supervisor import Member, Supervisor
from tests.chaos.tally import Tally
from tests.conftest import SECRET, make_endpoint
from tests.servers import Postgres, Redis

RETRIES = [0.5] * 14
"""Of the endpoint that takes most: nothing runs out of attempts."""
LAST_RETRIES = [1]
"""Of the endpoint that takes nothing: everything runs out of attempts."""
OURS = Path(webhook_delivery.__file__).parent
ERRORS = re.compile(f'File "{re.escape(str(OURS))}|cannot be settled|database is locked')
"""Lines of a log that say that something of ours went wrong."""
NAMED = re.compile(r"\w+(\.\w+)*(Error|Exception|Exit)\b")
"""The last line of a traceback."""


@contextmanager
def set_up(options: argparse.Namespace, logs: Path) -> Iterator[Stage]:
    """Start everything; at the end, see to it that nothing is left."""
    module = ["-m", "tests.chaos.receiver", "--secret", SECRET, "--seed", str(options.seed)]
    with Process(*module, "--fails", str(options.fails), log=logs / "received") as receiver:
        url = _listening(receiver, logs / "received")
        make_endpoint(f"{url}/", "order.created", retry_schedule=RETRIES)
        make_endpoint(f"{url}{NEVER}", "order.lost", retry_schedule=LAST_RETRIES)
        supervisor = Supervisor(list(_members(options, logs)), replaces=not options.left_dead)
        stage = Stage(
            supervisor,
            Member("publisher", partial(_publisher, options, logs)),
            Senders(int(url.rpartition(":")[2])),
            random.Random(options.seed),
            postgres=options.postgres and Postgres.at(options.postgres),
            redis=options.redis and Redis(options.redis),
        )
        try:
            yield stage
        finally:
            stage.publisher.process.stop()
            supervisor.end()


def take_down(stage: Stage, logs: Path) -> Tally:
    """Compare the logs with the rows, once every process has ended."""
    requests = [line for line in _lines(logs / "received") if line.startswith('{"webhook_id"')]
    return Tally(
        acknowledged={line for line in _lines(logs / "published") if line.startswith("evt_")},
        requests=[Request.from_json(line) for line in requests],
        toll=stage.toll,
    )


def errors(logs: Path, faults: Sequence[str]) -> list[str]:
    """What went wrong inside what delivers: nothing may, as long as its servers are there."""
    if SERVER_FAULTS & set(faults):
        return []
    return [f"{log.name}: {wrong}" for log in logs.glob("*.log") for wrong in _wrong(_lines(log))]


def _wrong(lines: list[str]) -> Iterator[str]:
    """Each line that tells of an error, with what it turned out to be."""
    for number, line in enumerate(lines):
        if ERRORS.search(line):
            rest = lines[number + 1 : number + 40]
            yield f"{line} … {next((each for each in rest if NAMED.match(each)), '')}"


def _members(options: argparse.Namespace, logs: Path) -> Iterator[Member]:
    for number in range(options.clusters):
        log = logs / f"cluster-{number}.log"
        yield Member(f"cluster {number}", partial(Cluster, log=log))
    for number in range(options.loops):
        log = logs / f"loop-{number}.log"
        command = ["manage.py", "webhooks", "drain", "--loop"]
        yield Member(f"loop {number}", partial(Process, *command, log=log))


def _publisher(options: argparse.Namespace, logs: Path) -> Process:
    pace = ["--rate", str(options.rate), "--events", str(options.events)]
    return Process("-m", "tests.chaos.publisher", *pace, log=logs / "published")


def _listening(receiver: Process, log: Path) -> str:
    ends = time.monotonic() + 30
    while not (said := _lines(log)):
        assert receiver.running() and time.monotonic() < ends, "the receiver does not listen"
        time.sleep(0.05)
    return str(json.loads(said[0])["url"])


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()
