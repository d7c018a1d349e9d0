"""Keeps connections for a moment after their answer: each for its own endpoint and origin."""

from __future__ import annotations

import http.client
import select
import ssl
import threading
import time
from collections.abc import Iterator

from webhook_delivery.conf import settings
from webhook_delivery.transport.connections import Origin
from webhook_delivery.transport.tls import TLS

IDLE_SECONDS = 4
"""Most receivers keep an idle connection for five seconds or longer; then they hang up."""

Owner = tuple[int, Origin, TLS]
Kept = tuple[float, http.client.HTTPConnection]
"""Since when, and which."""


class IdleConnections:
    """Connections between two requests: the last one used is the first to be used again."""

    def __init__(self) -> None:
        self._idle: dict[Owner, list[Kept]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def take(self, owner: Owner) -> http.client.HTTPConnection | None:
        """One that is open as far as anybody can tell; None if there is none."""
        while kept := self._pop(owner):
            since, connection = kept
            if time.monotonic() - since < IDLE_SECONDS and _silent(connection):
                return connection
            connection.close()
        return None

    def keep(self, owner: Owner, connection: http.client.HTTPConnection) -> None:
        """Keep it; those kept longest make room, for file descriptors are few."""
        with self._lock:
            kept = self._idle.pop(owner, [])
            kept.append((time.monotonic(), connection))
            self._idle[owner] = kept
            surplus = self._take_all() if self._closed else self._take_surplus(owner)
        _close(surplus)

    def forget(self, owner: Owner) -> None:
        with self._lock:
            kept = self._idle.pop(owner, [])
        _close(kept)

    def close(self) -> None:
        """Close all, and what is still to be kept then."""
        with self._lock:
            self._closed = True
            kept = self._take_all()
        _close(kept)

    def _pop(self, owner: Owner) -> Kept | None:
        with self._lock:
            kept = self._idle.get(owner)
            if not kept:
                return None
            last = kept.pop()
            if not kept:
                del self._idle[owner]
            return last

    def _take_surplus(self, owner: Owner) -> list[Kept]:
        """Those that wait too long; and if there are too many, of who was used longest ago."""
        since = time.monotonic() - IDLE_SECONDS
        surplus = [*self._take_old(next(iter(self._idle)), since), *self._take_old(owner, since)]
        while sum(map(len, self._idle.values())) > settings.MAX_THREADS:
            surplus.append(self._take_first(next(iter(self._idle))))
        return surplus

    def _take_old(self, owner: Owner, since: float) -> Iterator[Kept]:
        while owner in self._idle and self._idle[owner][0][0] < since:
            yield self._take_first(owner)

    def _take_first(self, owner: Owner) -> Kept:
        first = self._idle[owner].pop(0)
        if not self._idle[owner]:
            del self._idle[owner]
        return first

    def _take_all(self) -> list[Kept]:
        kept = [each for connections in self._idle.values() for each in connections]
        self._idle.clear()
        return kept


def _silent(connection: http.client.HTTPConnection) -> bool:
    """An idle connection that has something to say was closed, or cannot be trusted."""
    if isinstance(connection.sock, ssl.SSLSocket) and connection.sock.pending():
        return False  # it has said it already, and only TLS has heard
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def _close(kept: list[Kept]) -> None:
    for _, connection in kept:
        connection.close()
