"""Cuts connections whose attempt is overdue: in TLS, one read may never come back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

PATROL_SECONDS = 0.05
"""How often connections are looked at, while there are any."""


class Watch:
    """
    Over connections in TLS, each until its attempt's time is up.

    OpenSSL reads on by itself through whatever holds no data for us: session tickets, of which a
    receiver can send any number, count against no timeout of a read.
    """

    def __init__(self) -> None:
        self._ends: dict[socket.socket, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._patrolling = False

    @contextlib.contextmanager
    def over(self, connection: socket.socket, ends: float) -> Iterator[None]:
        """Cut the connection if this takes until `ends`, by the monotonic clock."""
        with self._changed:
            self._ends[connection] = ends
            self._begin()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._ends[connection]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _begin(self) -> None:
        if not self._patrolling:
            self._patrolling = True
            threading.Thread(target=self._patrol, name="webhook-watch", daemon=True).start()

    def _patrol(self) -> None:
        while True:
            with self._changed:
                while not self._ends and not self._closed:
                    self._changed.wait()
                if self._closed and not self._ends:
                    return
                now = time.monotonic()
                overdue = [each for each, ends in self._ends.items() if ends < now]
            for connection in overdue:
                _cut(connection)
            time.sleep(PATROL_SECONDS)


def _cut(connection: socket.socket) -> None:
    """The plain socket below TLS: to say goodbye in TLS would wait for the same lock."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
