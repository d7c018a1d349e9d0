"""Posts once to an endpoint; whatever its receiver does, the answer is an Outcome."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from webhook_delivery.conf import settings
from webhook_delivery.outcomes import Fault, Outcome, fault_of, parse_retry_after
from webhook_delivery.transport.connections import GuardedAdapter, Unreachable, connecting
from webhook_delivery.transport.deadlines import deadline

EXCERPT_BYTES = 2048


class Transport:
    """
    Posts to endpoints over connections that are reused within one endpoint, never across.

    It uses the `requests` adapter and no `Session`, because a session follows the environment
    (proxies, netrc), keeps cookies, and reads the whole body of a redirect.
    """

    def __init__(self) -> None:
        self._adapters: dict[int, HTTPAdapter] = {}
        self._lock = threading.Lock()

    def post(
        self, endpoint: int, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float
    ) -> Outcome:
        """Post once; `timeout` is in seconds, for connecting, sending and reading together."""
        deadline.start(timeout)
        try:
            request = requests.Request("POST", url, data=body, headers=dict(headers)).prepare()
        except Exception as error:
            return _outcome_of_failure(error)
        outcome = self._send(endpoint, request)
        if outcome.fault is Fault.RESET and connecting.reused:
            # The receiver had closed the idle connection: that is no answer to this request.
            self._forget(endpoint)
            outcome = self._send(endpoint, request)
        return outcome

    def close(self) -> None:
        for endpoint in list(self._adapters):
            self._forget(endpoint)

    def _send(self, endpoint: int, request: requests.PreparedRequest) -> Outcome:
        connecting.reused = True
        try:
            response = self._adapter_for(endpoint).send(
                request, stream=True, timeout=deadline.left(), verify=True, proxies={}
            )
        except Exception as error:
            return _outcome_of_failure(error)
        return _outcome_of_answer(response)

    def _adapter_for(self, endpoint: int) -> HTTPAdapter:
        """The endpoint's pool; those used longest ago make room, for file descriptors are few."""
        with self._lock:
            adapter = self._adapters.pop(endpoint, None) or GuardedAdapter(
                pool_connections=1, pool_maxsize=settings.CONCURRENCY
            )
            self._adapters[endpoint] = adapter
            crowded = len(self._adapters) > 2 * settings.CONCURRENCY
            oldest = next(iter(self._adapters)) if crowded else None
        if oldest is not None:
            self._forget(oldest)
        return adapter

    def _forget(self, endpoint: int) -> None:
        with self._lock:
            adapter = self._adapters.pop(endpoint, None)
        if adapter:
            adapter.close()


def _outcome_of_answer(response: requests.Response) -> Outcome:
    """The status line decides; what follows it is only kept to be shown."""
    status = response.status_code
    excerpt = b"".join(_start_of(response))[:EXCERPT_BYTES]
    return Outcome(
        status=status,
        fault=fault_of(status),
        excerpt=excerpt,
        retry_after=parse_retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC)),
    )


def _start_of(response: requests.Response) -> Iterator[bytes]:
    """Raw bytes, never decoded; reading to the end is what lets the connection be used again."""
    wanted = EXCERPT_BYTES + 1
    try:
        while wanted > 0 and (chunk := response.raw.read1(wanted, decode_content=False)):
            wanted -= len(chunk)
            yield chunk
    except (HTTPError, OSError, http.client.HTTPException):
        pass
    finally:
        response.close()


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
    ((requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL), Fault.CONFIG),
    ((requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema), Fault.CONFIG),
    (UnicodeError, Fault.CONFIG),
    ((TimeoutError, requests.exceptions.Timeout), Fault.TIMEOUT),
    (ssl.SSLError, Fault.TLS),
    ((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected), Fault.RESET),
]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what urllib3 and requests have wrapped in it."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _detail_of(error: BaseException) -> str:
    """A name, not the message: messages hold the path and query, where tokens live."""
    if isinstance(error, Unreachable):
        return str(error)
    return type(list(_causes(error))[-1]).__name__
