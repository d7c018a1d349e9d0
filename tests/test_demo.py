"""The demo as a user runs it: a process, with its own cluster, receiver and web server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from django.db import connection

from example_project.settings import BASE_DIR
from tests.processes import wait_until

pytestmark = pytest.mark.nightly_on_servers


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that the demo may empty: a file, or the one of this test run."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{tmp_path / 'demo.sqlite3'}"
    request.getfixturevalue("transactional_db")
    server = urlsplit(os.environ["DATABASE_URL"])
    return server._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


@pytest.fixture
def environment(database_url: str) -> Iterator[dict[str, str]]:
    """Marks the demo and all it starts, and sees to it that nothing of that is left."""
    mark = f"WEBHOOK_DEMO_MARK={uuid.uuid4()}"
    own = {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    yield {**os.environ, **own, **dict([mark.split("=")])}
    assert processes_with(mark) == []


def test_the_story_comes_true_whatever_an_earlier_one_left(environment):
    demo("--exit", "--seconds=0", env=environment)
    done = demo("--exit", env=environment)

    assert done.returncode == 0, done.stderr
    assert steps(done.stdout, "flaky") == ["503 again", "503 again", "200 delivered"]
    assert steps(done.stdout, "gone") == ["410 dead"]
    assert steps(done.stdout, "strict") == ["400 dead", "200 delivered"]
    assert steps(done.stdout, "silent") == ["no answer again", "no answer dead"]
    assert "The story came true" in done.stdout
    assert "FALSE" not in done.stdout


@pytest.mark.everywhere_once
def test_the_demo_fails_if_the_story_does_not_come_true(environment):
    done = demo("--exit", "--script=/gone=200", env=environment)

    assert done.returncode == 1
    assert "FALSE  gone answered 410" in done.stdout
    assert "The story did not come true: 1 of" in done.stderr


@pytest.mark.everywhere_once
def test_the_demo_says_what_is_late(environment):
    done = demo("--exit", "--seconds=2", env=environment)

    assert done.returncode == 1
    assert re.search(r"after 2 s, .*silent.* has not ended", done.stderr)
    assert "The end of the cluster's log" in done.stdout


@pytest.mark.everywhere_once
def test_ctrl_c_ends_the_admin_and_everything_else(environment):
    with serving(environment) as running:
        assert running.stdout
        address = next(line.split()[-1] for line in running.stdout if "The admin:" in line)
        wait_until(lambda: answers(address), seconds=20)
        running.send_signal(signal.SIGINT)

        assert running.wait(30) == 0


@contextmanager
def serving(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(), cwd=BASE_DIR, env=env, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.terminate()


def command(*options: str) -> list[str]:
    return [sys.executable, "-u", "manage.py", "demo", *options]


def demo(*options: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options), cwd=BASE_DIR, env=env, capture_output=True, text=True, timeout=120
    )


def steps(output: str, endpoint: str) -> list[str]:
    """Answer and consequence of each attempt at an endpoint, as the lines tell them."""
    line = rf"s  {endpoint} +order\.created +attempt \d+   (\d+|no answer) +(\w+)"
    return [" ".join(step) for step in re.findall(line, output)]


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


def processes_with(mark: str) -> list[str]:
    """The processes, if the system lets us see them, that have this in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
