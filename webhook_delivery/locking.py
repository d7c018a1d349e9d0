"""Transactions: repeats who lost a race for rows, and keeps what waits for others out of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connections, transaction

T = TypeVar("T")
V = TypeVar("V", bound=Callable[..., Any])

PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0)
"""Seconds waited, at most, before each repetition."""
PATIENCE_SECONDS = 10
"""No repetition begins later than this after the first try, which may have waited for a lock."""
POSTGRESQL_RACES = {"40P01", "40001", "55P03"}
"""deadlock_detected, serialization_failure, lock_not_available (PostgreSQL, appendix A)."""
MYSQL_RACES = {1205, 1213, 1020}
"""ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_CHECKREAD (MariaDB's error codes)."""
SQLITE_RACES = {5, 6}
"""SQLITE_BUSY and SQLITE_LOCKED, the low byte of the extended result codes."""


def insist(work: Callable[[], T], *, using: str, savepoint: bool = True) -> T:
    """
    Do the work in a transaction, and do it again if the database let another go first.

    Inside a transaction it is done once, in a savepoint of its own unless told otherwise: only the
    owner of the transaction can begin that one again.
    Raises the database's error if the last repetition fails too.
    """
    if not (connections[using].in_atomic_block or _by_hand(using)):
        ends = time.monotonic() + PATIENCE_SECONDS
        for pause in PAUSES:
            try:
                return once(work, using=using, savepoint=savepoint)
            except OperationalError as error:
                if not lost_a_race(error) or time.monotonic() > ends:
                    raise
            time.sleep(pause * random.random())  # noqa: S311 - no secret depends on it
    return once(work, using=using, savepoint=savepoint)


def outside(view: V) -> V:
    """With ATOMIC_REQUESTS, too: the view has transactions of its own, and may wait for others."""
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view


def lost_a_race(error: OperationalError) -> bool:
    """Whether the database gave up for the sake of another transaction: a deadlock, a lock."""
    cause = error.__cause__
    return (
        getattr(cause, "sqlstate", None) in POSTGRESQL_RACES
        or (error.args[:1] or (None,))[0] in MYSQL_RACES
        or getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_RACES
    )


def can_skip(using: str) -> bool:
    """Whether the database can pass over rows that others have locked, instead of waiting."""
    return bool(connections[using].features.has_select_for_update_skip_locked)


def once(work: Callable[[], T], *, using: str, savepoint: bool = True) -> T:
    """Do in a transaction, or in a savepoint of the one there is, what cannot be repeated."""
    by_hand = _by_hand(using)
    try:
        with transaction.atomic(using=using, savepoint=savepoint):
            return work()
    except (OperationalError, InterfaceError):
        if not by_hand:
            _leave_limbo(using)
        raise


def _by_hand(using: str) -> bool:
    """Whether the caller commits, with autocommit off: it is off without a connection, too."""
    connection = connections[using]
    open_ = connection.connection is not None
    return open_ and not connection.in_atomic_block and not connection.autocommit


def _leave_limbo(using: str) -> None:
    """
    Hang up on a server that went away between a commit and the end of its transaction.

    Django would believe the next transaction to be inside of another one, and never reconnect.
    """
    connection = connections[using]
    if not connection.in_atomic_block and not connection.autocommit:
        connection.close()
