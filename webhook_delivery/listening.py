"""What wakes a loop early: PostgreSQL's notifications, one after each commit; else it polls."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.version import get_version_tuple

from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Doorbell

logger = log_of(__name__)

CHANNEL = Doorbell._meta.db_table
POLL_SECONDS = 0.2
"""How often a loop that rests asks whether to stop; and, unless it hears, what is due."""
NET_SECONDS = 2.0
"""How long a rest lasts at most: whoever commits may die before it notifies."""


def notify(*, using: str) -> None:
    """
    Wake the loops that listen to this database. Never raises: they look by themselves, too.

    Apart from the caller's transaction: a commit that notifies holds a lock of the whole server,
    and this one has nothing to flush meanwhile.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {connection.ops.quote_name(CHANNEL)}")
    except Exception:
        logger.exception("The loops could not be notified; they will look soon")


class Listener:
    """
    Rests for one loop, listening on a connection of its own.

    It trusts its connection only once it has heard a notification that came over another: a pooler
    that pools by transaction takes LISTEN and delivers nothing, and so does a cut cable.
    """

    def __init__(self, *, using: str, stopped: Callable[[], bool]) -> None:
        self.using = using
        self.hears = False
        self._stopped = stopped
        self._connection: BaseDatabaseWrapper | None = None

    def prove(self) -> None:
        """Listen, and notify oneself; until that is heard, rests look for what is due."""
        self.hears = False
        if self._connection is None and _can_listen(connections[self.using]):
            self._listen()
        if self._connection is not None:
            notify(using=self.using)

    def rest(self, seconds: float) -> None:
        """Wait for so many seconds, or less: something may be due, or somebody asked to stop."""
        ends = time.monotonic() + min(seconds, NET_SECONDS)
        while not self._stopped() and (left := ends - time.monotonic()) > 0:
            if self._notified(min(left, POLL_SECONDS)) or (not self.hears and self._sees()):
                return

    def heard(self) -> bool:
        """Whether something was committed since it was last asked, or rested; without waiting."""
        return self._connection is not None and self._notified(0)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _listen(self) -> None:
        self._connection = connections[self.using].copy()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"LISTEN {self._connection.ops.quote_name(CHANNEL)}")
        except (DatabaseError, InterfaceError):
            logger.warning("Nothing can be listened to for now; polling", exc_info=True)
            self.close()

    def _sees(self) -> bool:
        return Delivery.objects.using(self.using).due().exists()

    def _notified(self, seconds: float) -> bool:
        """Wait for a notification; what was sent while a connection was lost is lost with it."""
        if self._connection is None:
            time.sleep(seconds)
            return False
        raw: Any = self._connection.connection
        try:
            with self._connection.wrap_database_errors:
                # `notifies` can wait, too, but uses ten times the processor for it.
                said = _readable(raw.fileno(), seconds)
                heard = bool(said and list(raw.notifies(timeout=0)))
        except (DatabaseError, InterfaceError):
            self._replace()
            return True
        self.hears = self.hears or heard
        return heard

    def _replace(self) -> None:
        """At once, if the connection was good before; else the next proof does it."""
        logger.warning("The connection that listened is gone", exc_info=True)
        was_good = self.hears
        self.hears = False
        self.close()
        if was_good:
            self.prove()


def _readable(descriptor: int, seconds: float) -> bool:
    """`select` would fail for a descriptor beyond the first thousand."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _can_listen(connection: BaseDatabaseWrapper) -> bool:
    """
    Whether the database notifies, and its driver can wait for that: psycopg from 3.2.

    Who pools by transaction has to disable cursors on the server, and no session is its own.
    """
    if connection.vendor != "postgresql" or connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
        return False
    driver: Any = connection.Database  # type: ignore[attr-defined] # of each real backend
    return get_version_tuple(driver.__version__.split()[0]) >= (3, 2)
