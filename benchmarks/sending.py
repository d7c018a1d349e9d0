"""The senders that run beside an application: clusters of django-q2, and the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks.databases import Database
from benchmarks.running import plain_environment
from benchmarks.stage import Stage
from benchmarks.workers import WAKE
from example_project.processes import Process
from tests.everywhere import BROKER

LOOP = "drain --loop"
ORM = "qcluster, ORM broker"
REDIS = "qcluster, Redis broker"
AWAKE_SECONDS = 60
"""How long a sender may take to send its first request."""


class NeverAwake(Exception):
    """A sender sent nothing; the message names its log."""


def senders(stage: Stage) -> list[str]:
    """Those that can be run: a cluster with Redis needs Redis."""
    if BROKER.missing:
        stage.say(f"{REDIS} is left out: {BROKER.missing}")
    return [ORM, *([] if BROKER.missing else [REDIS]), LOOP]


@contextmanager
def at_work(
    stage: Stage,
    sender: str,
    database: Database,
    urls: Sequence[str],
    *,
    schedules: Sequence[Sequence[float]] | None = None,
    owed: int = 0,
) -> Iterator[Mapping[str, str]]:
    """
    Run a sender that is awake, on endpoints with these URLs, for as long as the block lasts.

    schedules: of retries, one for each URL.
    owed: so many deliveries fall due to the first URL once it is awake.

    Yields the environment in which to publish for it.
    """
    env = environment(sender, database)
    wake = stage.receiver.url("/ok/wake")
    stage.work("filling", env=env, urls=urls, wake=wake, schedules=schedules)
    _forget_queued(sender)
    process = _start(sender, env, stage.log(sender))
    try:
        _await_awake(stage, env, sender)
        if owed:
            stage.work("filling", env=env, urls=urls, fresh=False, owed=owed)
        yield env
    finally:
        process.stop()
        process.close()
        _forget_queued(sender)


def environment(sender: str, database: Database) -> dict[str, str]:
    """What the sender needs, and whoever publishes for it: both must use the same broker."""
    return dict(database.env) | ({"REDIS_URL": BROKER.url} if sender == REDIS else {})


def _start(sender: str, env: Mapping[str, str], log: Path) -> Process:
    """As an operator would; it leads a process group, which `stop` ends."""
    command = ["webhooks", "drain", "--loop"] if sender == LOOP else ["qcluster"]
    return Process("manage.py", *command, log=log, env=plain_environment() | dict(env))


def _await_awake(stage: Stage, env: Mapping[str, str], sender: str) -> None:
    stage.receiver.forget()
    stage.work("offering", env=env, moments=[0.0], event_types=[WAKE])
    if not stage.receiver.wait_for(1, "/ok/wake", seconds=AWAKE_SECONDS):
        raise NeverAwake(f"{sender}: see {stage.log(sender)}")
    stage.receiver.forget()


def _forget_queued(sender: str) -> None:
    """Take what a cluster left in Redis away; what else is there stays."""
    if sender != REDIS:
        return
    with redis.Redis.from_url(BROKER.url) as server:
        for key in server.scan_iter("django_q:webhook_bench*"):
            server.delete(key)
