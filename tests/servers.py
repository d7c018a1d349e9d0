"""Servers of the tests' own, which may be restarted and flushed: a PostgreSQL and a Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
import pytest
import redis


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL in a folder; any process that knows the folder may restart it."""

    folder: Path
    port: int

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The one that runs in a folder."""
        return cls(folder, int((folder / "data/postmaster.pid").read_text().splitlines()[3]))

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def start(self) -> None:
        # Without fsync a commit outlives the server, though not the machine: that is all we kill.
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = self.folder / "log"
        self._control("start", "-w", "-l", str(log), "-o", f"{options} -c max_connections=200")

    def stop(self) -> None:
        """Stop it as a crash would: nobody is waited for, and the log is replayed at its start."""
        self._control("stop", "-w", "-m", "immediate")

    def initialise(self) -> None:
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        data = str(self.folder / "data")
        subprocess.run(
            [str(Path(postgres_programs() or "", program)), "-D", data, *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **_unprivileged(),
        )


@dataclass(frozen=True)
class Redis:
    """A Redis that keeps nothing; any process that knows the port may restart it."""

    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "yes"]
        command = ["redis-server", "--port", str(self.port), *options]
        subprocess.run(command, cwd=tempfile.gettempdir(), stdout=subprocess.DEVNULL, check=True)
        _until(self._answers)

    def stop(self) -> None:
        with redis.Redis.from_url(self.url) as client, suppress(redis.ConnectionError):
            client.shutdown(nosave=True)
        _until(lambda: not self._answers())

    def _answers(self) -> bool:
        """Starting and stopping both end before they are done."""
        with redis.Redis.from_url(self.url) as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client, suppress(redis.ConnectionError):
            client.flushall()


def postgres_programs() -> Path | None:
    """The folder of `initdb`, or None if no PostgreSQL is installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def running(server: Postgres | Redis) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL is installed on this machine")
    with tempfile.TemporaryDirectory(prefix="webhook-postgres-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = Postgres(Path(folder), _free_port())
        server.initialise()
        with running(server):
            yield server


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis is installed on this machine")
    server = Redis(_free_port())
    with running(server):
        yield server


def _until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.01)


def _unprivileged() -> dict[str, object]:
    """PostgreSQL refuses to be run by root."""
    root = {"user": "postgres", "group": "postgres", "extra_groups": []}
    return root if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
