"""
Breaks a process off at its n-th boundary: before or after a statement or a commit.

`python -m tests.boundaries WORK …` kills itself there, for each line on standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper


class PowerCut(BaseException):
    """Nobody catches it; and the database hears nothing more from us, not even a rollback."""


def hang_up(broken: BaseDatabaseWrapper) -> None:
    """Let the server end a connection, as another of its clients can ask it to."""
    if broken.vendor == "postgresql":
        _ask("SELECT pg_terminate_backend(%s, 5000)", broken.connection.info.backend_pid)
    elif broken.vendor == "mysql":
        _ask("KILL %s", broken.connection.thread_id())
    else:
        broken.connection.rollback()  # there is no server, and so no line to it


def _ask(sql: str, process: int) -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(sql, [process])
    finally:
        other.close()


def loses_the_connection() -> None:
    """The next statement finds out."""
    hang_up(connection)
    if connection.vendor == "sqlite":
        raise OperationalError("disk I/O error")


def is_told_to_exit() -> None:
    raise SystemExit("the guard thinks that this takes too long")


def loses_power() -> None:
    hang_up(connection)
    raise PowerCut


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def broken_off(at: int, fault: Callable[[], None]) -> Iterator[list[str]]:
    """Let the fault happen at that boundary; yields those that were passed, by name."""
    passed: list[str] = []

    def boundary(name: str) -> None:
        passed.append(name)
        if len(passed) == at + 1:
            fault()

    def around(execute: Any, sql: str, *rest: Any) -> Any:
        boundary(f"before {sql[:40]}")
        done = execute(sql, *rest)
        boundary(f"after {sql[:40]}")
        return done

    commit = connection._commit

    def committing() -> None:
        boundary("before COMMIT")
        commit()
        boundary("after COMMIT")

    connection._commit = committing
    try:
        with connection.execute_wrapper(around):
            yield passed
    finally:
        del connection._commit


def main(name: str) -> None:
    """A process forks for each boundary, so that Django is set up once."""
    django.setup()
    from tests.test_boundaries import WORKS

    for line in sys.stdin:
        child = os.fork()
        if not child:
            at, number = json.loads(line)
            with broken_off(at, is_killed):
                WORKS[name](number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.WIFSIGNALED(status)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
