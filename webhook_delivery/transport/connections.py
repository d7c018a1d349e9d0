"""Opens connections: to allowed addresses only, with TLS verified, within the deadline."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import certifi

from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport.deadlines import PunctualSocket, PunctualTLSSocket, deadline


class Unreachable(Exception):
    """No connection was made; says why. Not an OSError, for which the next address is tried."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.sslsocket_class = PunctualTLSSocket
    return context


_TLS = _tls_context()
"""One for the process: loading the roots costs ten times as much as the handshake."""


def connect(host: str, port: int) -> socket.socket:
    """Resolve once, refuse the answer if any address in it is forbidden, connect to one of them."""
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


class Origin(NamedTuple):
    """Where a connection leads; it is used again only for the same."""

    scheme: str
    host: str
    port: int


@lru_cache(maxsize=1024)
def parse(url: str) -> tuple[Origin, str]:
    """
    Split a URL into where to connect and what to ask for there.

    Raises ValueError for what is no http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("not a URL")
    origin = Origin(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return origin, quote(target, safe=ALLOWED_IN_TARGETS)


PORTS = {"http": 80, "https": 443}
ALLOWED_IN_TARGETS = "!$%&'()*+,/:;=?@[]~"
"""RFC 3986, section 3.3 and 3.4; and the per cent sign, of what is encoded already."""


def open_to(origin: Origin) -> http.client.HTTPConnection:
    """Open a connection; raises Unreachable, TimeoutError, or what TLS has to say."""
    tls = origin.scheme == "https"
    connection = _TLSConnection(*origin[1:]) if tls else _Connection(*origin[1:])
    connection.connect()
    return connection


class _Connection(http.client.HTTPConnection):
    response_class = _FinalAnswer

    def connect(self) -> None:
        self.sock = connect(self.host, self.port)


class _TLSConnection(http.client.HTTPSConnection):
    response_class = _FinalAnswer

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, context=_TLS)

    def connect(self) -> None:
        plain = connect(self.host, self.port)
        try:
            self.sock = _TLS.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
