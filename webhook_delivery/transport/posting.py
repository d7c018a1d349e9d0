"""Posts once to an endpoint; whatever its receiver does, the answer is an Outcome."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from webhook_delivery.outcomes import Fault, Outcome, fault_of, parse_retry_after
from webhook_delivery.transport.connections import Unreachable, open_to, parse
from webhook_delivery.transport.deadlines import deadline
from webhook_delivery.transport.idle import IdleConnections, Owner

EXCERPT_BYTES = 2048


class Transport:
    """
    Posts to endpoints over connections that are reused within one endpoint, never across.

    It follows no redirect, keeps no cookie, and knows nothing of proxies or netrc.
    """

    def __init__(self) -> None:
        self._idle = IdleConnections()

    def post(
        self, endpoint: int, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float
    ) -> Outcome:
        """Post once; `timeout` is in seconds, for connecting, sending and reading together."""
        deadline.start(timeout)
        try:
            origin, target = parse(url)
        except ValueError as error:
            return Outcome(fault=Fault.CONFIG, detail=type(error).__name__)
        owner = endpoint, origin
        idle = self._idle.take(owner)
        outcome = self._exchange(owner, idle, target, body, headers)
        if outcome.fault is Fault.RESET and idle and not deadline.heard:
            # The receiver had closed the idle connection: that is no answer to this request.
            self._idle.forget(owner)
            outcome = self._exchange(owner, None, target, body, headers)
        return outcome

    def close(self) -> None:
        self._idle.close()

    def _exchange(
        self,
        owner: Owner,
        connection: http.client.HTTPConnection | None,
        target: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Outcome:
        try:
            connection = connection or open_to(owner[1])
            _send(connection, target, body, headers)
            response = connection.getresponse()
        except Exception as error:
            if connection:
                connection.close()
            return _outcome_of_failure(error)
        outcome = _outcome_of_answer(response)
        whole = response.isclosed() or response.length == 0
        response.close()
        if whole and connection.sock:
            self._idle.keep(owner, connection)
        else:
            connection.close()
        return outcome


class Unsendable(Exception):
    """The request cannot be written: a header that HTTP does not know."""


def _send(
    connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Send it all; a receiver may answer, and close, before it has read everything."""
    try:
        connection.request("POST", target, body, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        return
    except (ValueError, http.client.HTTPException) as error:
        raise Unsendable from error


def _outcome_of_answer(response: http.client.HTTPResponse) -> Outcome:
    """The status line decides; what follows it is only kept to be shown."""
    excerpt = b"".join(_start_of(response))[:EXCERPT_BYTES]
    return Outcome(
        status=response.status,
        fault=fault_of(response.status),
        excerpt=excerpt,
        retry_after=_retry_after(response.headers.get("Retry-After")),
    )


def _retry_after(value: str | None) -> float | None:
    return None if value is None else parse_retry_after(value, now=datetime.now(UTC))


def _start_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Raw bytes, never decoded; reading to the end is what lets the connection be used again."""
    wanted = EXCERPT_BYTES + 1
    with contextlib.suppress(OSError, http.client.HTTPException):
        while wanted > 0 and (chunk := response.read1(wanted)):
            wanted -= len(chunk)
            yield chunk


def _outcome_of_failure(error: Exception) -> Outcome:
    fault = _fault_of_failure(error)
    return Outcome(fault=fault, detail=_detail_of(error))


def _fault_of_failure(error: Exception) -> Fault:
    causes = list(_causes(error))
    for kind, fault in _FAULTS:
        if any(isinstance(cause, kind) for cause in causes):
            return fault
    return next((cause.fault for cause in causes if isinstance(cause, Unreachable)), Fault.PROTOCOL)


_FAULTS: list[tuple[type[BaseException] | tuple[type[BaseException], ...], Fault]] = [
    (Unsendable, Fault.CONFIG),
    (TimeoutError, Fault.TIMEOUT),
    (ssl.SSLError, Fault.TLS),
    ((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected), Fault.RESET),
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
