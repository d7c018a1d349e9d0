"""Resolves names within the deadline, though the resolver itself knows none."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import Future
from typing import Any, NamedTuple

from webhook_delivery.conf import settings
from webhook_delivery.hostnames import is_address, is_number
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport.deadlines import deadline


class Unreachable(Exception):
    """No connection was made; says why. Not an OSError, for which the next address is tried."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Found(NamedTuple):
    """One address of a host."""

    family: int
    address: Any
    """As `socket.connect` takes it."""


Wanted = tuple[str, int, bool]
"""A name, a port, and whether the name is absolute."""


class _Crowd:
    """How many lookups this process has under way, of all its drains."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """After a fork there are none: threads stay behind."""
        self._count, self._lock = 0, threading.Lock()

    def enter(self) -> bool:
        with self._lock:
            full = self._count >= settings.MAX_THREADS
            self._count += not full
        return not full

    def leave(self) -> None:
        with self._lock:
            self._count -= 1


_crowd = _Crowd()
os.register_at_fork(after_in_child=_crowd.reset)


class Lookups:
    """
    Looks names up, each in a thread that nobody has to wait for.

    Who asks for a name that is being looked up waits for the same answer, so that a resolver that
    hangs costs one thread for each name.
    """

    def __init__(self) -> None:
        self._pending: dict[Wanted, Future[list[Found]]] = {}
        self._lock = threading.Lock()

    def find(self, host: str, port: int, *, absolute: bool = True) -> list[Found]:
        """
        Return the host's addresses, all of them; raise Unreachable if none is found in time.

        absolute: the machine's search domains are not for it.
        """
        wanted = host, port, absolute
        if is_address(host):
            return _look_up(*wanted)
        try:
            return self._answer_for(wanted).result(timeout=deadline.left())
        except TimeoutError:
            raise Unreachable(Fault.DNS, "name not resolved in time") from None

    def _answer_for(self, wanted: Wanted) -> Future[list[Found]]:
        with self._lock:
            if wanted not in self._pending:
                self._pending[wanted] = self._begin(wanted)
            return self._pending[wanted]

    def _begin(self, wanted: Wanted) -> Future[list[Found]]:
        if not _crowd.enter():
            raise Unreachable(Fault.EXHAUSTED, "too many names are being resolved")
        answer: Future[list[Found]] = Future()
        try:
            threading.Thread(target=self._fulfil, args=(wanted, answer), daemon=True).start()
        except RuntimeError:
            _crowd.leave()
            raise Unreachable(Fault.EXHAUSTED, "the machine allows no more threads") from None
        return answer

    def _fulfil(self, wanted: Wanted, answer: Future[list[Found]]) -> None:
        try:
            found = _look_up(*wanted)
        except Exception as error:
            self._forget(wanted)
            answer.set_exception(error)
        else:
            self._forget(wanted)
            answer.set_result(found)

    def _forget(self, wanted: Wanted) -> None:
        """Before it is answered: who asks later asks anew."""
        _crowd.leave()
        with self._lock:
            del self._pending[wanted]


def _look_up(host: str, port: int, absolute: bool) -> list[Found]:
    name = _absolute(host) if absolute else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unreachable(Fault.DNS, "name not found") from None
    return [Found(family, address) for family, _, _, _, address in found]


def _absolute(host: str) -> str:
    """
    Keep the resolver from trying the search domains of its machine, by a last dot.

    Who opens private networks may mean their names, and those of /etc/hosts, which have no dot.
    """
    plain = is_address(host) or is_number(host) or settings.ALLOWED_NETWORKS
    return host if plain else f"{host}."
