"""Opens connections: to allowed addresses only, with TLS verified, within the deadline."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import threading
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport.deadlines import PunctualSocket, PunctualTLSSocket, deadline


class Unreachable(Exception):
    """No connection was made; says why. Not an OSError, so that urllib3 leaves it alone."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Connecting(threading.local):
    """Whether this thread's request went out on a connection that was there before."""

    reused = False


connecting = Connecting()


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.sslsocket_class = PunctualTLSSocket
    return context


_TLS = _tls_context()
"""One for the process: loading the roots costs ten times as much as the handshake."""


def connect(host: str, port: int) -> socket.socket:
    """Resolve once, refuse the answer if any address in it is forbidden, connect to one of them."""
    connecting.reused = False
    found = _resolve(host, port)
    if not all(allowed(str(address[0]), opened=settings.ALLOWED_NETWORKS) for _, address in found):
        raise Unreachable(Fault.BLOCKED, "address not allowed")
    failure: OSError = OSError("no address")
    for number, (family, address) in enumerate(found):
        try:
            return _connected(family, address, deadline.left() / (len(found) - number))
        except OSError as error:
            failure = error
    raise _unconnected(failure)


def _unconnected(failure: OSError) -> Exception:
    if isinstance(failure, TimeoutError):
        return failure
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return Unreachable(Fault.EXHAUSTED, "too many open files")
    return Unreachable(Fault.REFUSED, "refused")


def _resolve(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Unreachable(Fault.DNS, "name not found") from None
    return [(family, address) for family, _, _, _, address in found]


def _connected(family: int, address: Any, seconds: float) -> socket.socket:
    connection = PunctualSocket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(seconds)
        connection.connect(address)
        connection.settimeout(deadline.left())  # what a TLS handshake may take
    except BaseException:
        connection.close()
        raise
    return connection


class _FinalAnswer(http.client.HTTPResponse):
    """Passes over interim answers (RFC 9110 §15.2), lest the final one be taken for the next."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc] # not in the stubs
        return version, (100 if 101 < status < 200 else status), reason

    def begin(self) -> None:
        super().begin()
        if self.status < 200:  # 101: what follows is another protocol
            self.will_close = True


class _GuardedConnection(HTTPConnection):
    response_class = _FinalAnswer

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port)


class _GuardedTLSConnection(HTTPSConnection):
    response_class = _FinalAnswer

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port)


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class GuardedAdapter(HTTPAdapter):
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
