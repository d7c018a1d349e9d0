"""The only module that opens a connection; whatever a receiver does, it finds an Outcome."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings
from webhook_delivery.deadlines import PunctualSocket, PunctualTLSSocket, clock
from webhook_delivery.outcomes import Fault, Outcome, fault_of, parse_retry_after

EXCERPT_BYTES = 2048


class Unreachable(Exception):
    """No connection was made; says why. Not an OSError, so that urllib3 leaves it alone."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


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
        clock.start(timeout)
        try:
            request = requests.Request("POST", url, data=body, headers=dict(headers)).prepare()
            response = self._adapter_for(endpoint).send(
                request, stream=True, timeout=timeout, verify=True, proxies={}
            )
        except Exception as error:
            return _outcome_of_failure(error)
        return _outcome_of_answer(response)

    def close(self) -> None:
        for adapter in self._adapters.values():
            adapter.close()

    def _adapter_for(self, endpoint: int) -> HTTPAdapter:
        with self._lock:
            if endpoint not in self._adapters:
                self._adapters[endpoint] = _Adapter(
                    pool_connections=1, pool_maxsize=settings.CONCURRENCY
                )
            return self._adapters[endpoint]


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


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.sslsocket_class = PunctualTLSSocket
    return context


_TLS = _tls_context()
"""One for the process: loading the roots costs ten times as much as the handshake."""


def _connect(host: str, port: int) -> socket.socket:
    """Resolve once, refuse the answer if any address in it is forbidden, connect to one of them."""
    found = _resolve(host, port)
    if not all(allowed(str(address[0]), opened=settings.ALLOWED_NETWORKS) for _, address in found):
        raise Unreachable(Fault.BLOCKED, "address not allowed")
    failure: OSError | None = None
    for family, address in found:
        try:
            return _connected(family, address)
        except OSError as error:
            failure = error
    raise failure if isinstance(failure, TimeoutError) else Unreachable(Fault.REFUSED, "refused")


def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unreachable(Fault.DNS, "name not found") from None
    return [(family, address) for family, _, _, _, address in found]


def _connected(family: int, address: Any) -> socket.socket:
    connection = PunctualSocket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(clock.left())
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _GuardedTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class _Adapter(HTTPAdapter):
    """The adapter of `requests`, over our connections and our TLS context."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _GuardedPool,
            "https": _GuardedTLSPool,
        }

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": _TLS} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: urllib3.HTTPConnectionPool, *args: Any) -> None:
        """The context verifies; naming a bundle here would load it again for each connection."""
