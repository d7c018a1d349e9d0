"""Real processes on the current test's database: clusters, receivers, and whatever publishes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from example_project import processes
from example_project.processes import Process, ReceiverProcess
from example_project.settings import BASE_DIR
from tests.conftest import REDIS_URL, SECRET
from tests.servers import Postgres

NOBODY_LISTENS = "redis://127.0.0.1:1"


def environment(*, broker: str = "orm") -> dict[str, str]:
    """What makes a process use the test's database and a broker: `orm`, `redis` or `stopped`."""
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    if broker != "orm":
        env["REDIS_URL"] = {"redis": REDIS_URL, "stopped": NOBODY_LISTENS}[broker]
    env["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    env["WEBHOOK_TEST_DATABASE"] = str(connection.settings_dict["NAME"])
    return env


def new_database(server: Postgres, *, redis: str = "") -> dict[str, str]:
    """What makes processes use a new database on that server, and perhaps that Redis."""
    name = f"chaos_{uuid.uuid4().hex}"
    env = environment() | {"DATABASE_URL": server.create(name), "WEBHOOK_TEST_DATABASE": name}
    env |= {"REDIS_URL": redis} if redis else {}
    run("manage.py", "migrate", "-v0", env=env)
    return env


def chaos(*options: str, broker: str = "orm", env: Mapping[str, str] | None = None) -> None:
    """Let things break; fail, and say what was found, unless every promise was kept."""
    print(run("-m", "tests.chaos", *options, broker=broker, env=env, seconds=1800))


@contextmanager
def qcluster(*, broker: str = "orm") -> Iterator[Process]:
    """Run a cluster; `kill()` ends all its processes as a power cut would."""
    with (
        _log() as log,
        processes.qcluster(log=log, env=environment(broker=broker)) as cluster,
        _told(cluster),
    ):
        yield cluster


@contextmanager
def drain_loop(*, looks: bool = True, hurries: bool = False) -> Iterator[Process]:
    """Run `webhooks drain --loop`; or a loop that never `looks`, or one whose rounds are short."""
    command = ["manage.py", "webhooks", "drain", "--loop"]
    if hurries or not looks:
        command = ["-m", "tests.loops", "hurries" if hurries else "hears"]
    with _log() as log, Process(*command, log=log, env=environment()) as loop, _told(loop):
        yield loop


@contextmanager
def receiver(*scripts: str, secret: str = SECRET) -> Iterator[ReceiverProcess]:
    """Run a receiver that answers by scripts, `/path=503,503,200`, and else 200."""
    with _log() as log, ReceiverProcess(log=log, secret=secret, scripts=scripts) as running:
        yield running


def run(
    *arguments: str,
    broker: str = "orm",
    seconds: float = 120,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a Python process to its end, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=env or environment(broker=broker),
        timeout=seconds,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_until(true: Callable[[], bool], *, seconds: float) -> None:
    """Look ten times a second whether it has come true; fail when the time is up."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.1)


@contextmanager
def _log() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="webhook-process-") as folder:
        yield Path(folder, "log")


@contextmanager
def _told(process: Process) -> Iterator[None]:
    """When the test fails, pytest shows what the process had to say."""
    try:
        yield
    except BaseException:
        print(process.log_tail())
        raise
