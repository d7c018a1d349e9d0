"""Posts once to an endpoint; whatever its receiver does, the answer is an Outcome."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Protocol

from webhook_delivery.outcomes import Fault, Outcome, fault_of, heed, parse_retry_after
from webhook_delivery.transport.connections import open_to, parse
from webhook_delivery.transport.deadlines import TooLarge, deadline
from webhook_delivery.transport.idle import IdleConnections, Owner
from webhook_delivery.transport.resolving import Lookups, Unreachable
from webhook_delivery.transport.tls import DEFAULT, TLS
from webhook_delivery.transport.watching import Watch

EXCERPT_BYTES = 2048
GRACE_SECONDS = 0.05
"""So much later than a read should have ended, its connection is cut."""


class Transport:
    """
    Posts to endpoints over connections that are reused within one endpoint, never across.

    It follows no redirect, keeps no cookie, and knows nothing of proxies or netrc.
    """

    def __init__(self) -> None:
        self._idle = IdleConnections()
        self._lookups = Lookups()
        self._watch = Watch()

    def post(
        self,
        endpoint: int,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float,
        tls: TLS = DEFAULT,
    ) -> Outcome:
        """
        Post once.

        timeout: in seconds, for resolving, connecting, sending and reading together.
        tls: whom to believe, and what to show.
        """
        deadline.start(timeout)
        try:
            origin, target = parse(url)
        except ValueError as error:
            return Outcome(fault=Fault.CONFIG, detail=type(error).__name__)
        owner = endpoint, origin, tls
        idle = self._idle.take(owner)
        outcome = self._exchange(owner, idle, target, body, headers)
        if outcome.fault is Fault.RESET and idle and not deadline.heard:
            # The receiver had closed the idle connection: that is no answer to this request.
            self._idle.forget(owner)
            outcome = self._exchange(owner, None, target, body, headers)
        return outcome

    def close(self) -> None:
        self._idle.close()
        self._watch.close()

    def _exchange(
        self,
        owner: Owner,
        connection: http.client.HTTPConnection | None,
        target: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Outcome:
        try:
            connection = connection or open_to(*owner[1:], self._lookups)
            with self._in_time(connection):
                _send(connection, target, body, headers)
                response = connection.getresponse()
                start, whole = _start_of(response)
        except Exception as error:
            if connection:
                connection.close()
            return outcome_of_failure(error)
        outcome = outcome_of_answer(response.status, response.headers, start[:EXCERPT_BYTES])
        response.close()
        if whole and connection.sock:
            self._idle.keep(owner, connection)
        else:
            connection.close()
        return outcome

    def _in_time(self, connection: http.client.HTTPConnection) -> AbstractContextManager[None]:
        """A plain socket keeps its time by itself."""
        secure = isinstance(connection.sock, ssl.SSLSocket)
        ends = deadline.ends + GRACE_SECONDS
        return self._watch.over(connection.sock, ends) if secure else nullcontext()


HUNG_UP = BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError
"""What a receiver that has gone looks like, also when it was spoken to in TLS."""


class SupportsGet(Protocol):
    """Headers, whatever they are kept in."""

    def get(self, name: str, /) -> str | None: ...


class Unsendable(Exception):
    """The request cannot be written: a header that HTTP does not know."""


def _send(
    connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Send it all; a receiver may answer, and close, before it has read everything."""
    try:
        connection.request("POST", target, body, dict(headers))
    except HUNG_UP:
        return
    except (ValueError, http.client.HTTPException) as error:
        raise Unsendable from error


def outcome_of_answer(status: int, headers: SupportsGet, excerpt: bytes) -> Outcome:
    """
    Say what an answer is: the status line decides; what follows it is only kept to be shown.

    headers: by their names in lower case.
    """
    outcome = Outcome(
        status=status,
        fault=fault_of(status),
        excerpt=excerpt,
        retry_after=_retry_after(headers.get("retry-after")),
    )
    return heed(outcome, headers.get("webhook-delivery") or "")


def _retry_after(value: str | None) -> float | None:
    return None if value is None else parse_retry_after(value, now=datetime.now(UTC))


def _start_of(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """Raw bytes, never decoded; and whether that was all, so that the connection is free again."""
    start = b""
    try:
        while wanted := EXCERPT_BYTES + 1 - len(start):
            if not (chunk := response.read1(wanted)):
                break
            start += chunk
    except (OSError, http.client.HTTPException):
        return start, False
    return start, response.isclosed() or response.length == 0


def outcome_of_failure(error: Exception) -> Outcome:
    """Say what it is that there was no answer."""
    fault = _fault_of_failure(error)
    return Outcome(fault=fault, detail=_detail_of(error))


def _fault_of_failure(error: Exception) -> Fault:
    if isinstance(error, Unreachable):
        return error.fault
    causes = list(_causes(error))
    fitting = (fault for kind, fault in _FAULTS if any(isinstance(each, kind) for each in causes))
    return next(fitting, Fault.PROTOCOL)


_FAULTS: list[tuple[type[BaseException] | tuple[type[BaseException], ...], Fault]] = [
    (Unsendable, Fault.CONFIG),
    (TooLarge, Fault.TOO_LARGE),
    (TimeoutError, Fault.TIMEOUT),
    ((*HUNG_UP, http.client.RemoteDisconnected), Fault.RESET),
    (ssl.SSLError, Fault.TLS),
]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it."""
    yield error
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            yield from _causes(inner)


def _detail_of(error: BaseException) -> str:
    """A name, not the message: messages hold the path and query, where tokens live."""
    if isinstance(error, Unreachable):
        return str(error)
    return type(list(_causes(error))[-1]).__name__
