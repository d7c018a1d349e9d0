"""Opens connections: to allowed addresses only, with TLS verified, within the deadline."""

from __future__ import annotations

import base64
import errno
import http.client
import socket
import ssl
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings
from webhook_delivery.hostnames import encoded
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport.answers import Answer
from webhook_delivery.transport.deadlines import PunctualSocket, deadline
from webhook_delivery.transport.resolving import Found, Lookups, Unreachable
from webhook_delivery.transport.tls import TLS, context_for

PORTS = {"http": 80, "https": 443}
MOST_TRIED = 6
"""Of a name's addresses; a name with thousands would make a port scanner of us."""


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
    host = parts.hostname.removesuffix(".")
    origin = Origin(parts.scheme, host, parts.port or PORTS[parts.scheme])
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return origin, encoded(target)


def open_to(origin: Origin, tls: TLS, lookups: Lookups) -> http.client.HTTPConnection:
    """Open a connection; raises Unreachable, TimeoutError, or what TLS has to say."""
    plain = _reach(origin, lookups)
    secure = origin.scheme == "https"
    connection = (_SecureConnection if secure else _Connection)(origin.host, origin.port)
    try:
        connection.sock = _encrypted(plain, origin.host, tls) if secure else plain
    except BaseException:
        plain.close()
        raise
    return connection


class _Connection(http.client.HTTPConnection):
    response_class = Answer
    auto_open = 0


class _SecureConnection(_Connection):
    default_port = PORTS["https"]


def _encrypted(plain: socket.socket, host: str, tls: TLS) -> ssl.SSLSocket:
    try:
        context = context_for(tls)
    except (ssl.SSLError, ValueError) as error:
        raise Unreachable(Fault.CONFIG, "its certificates cannot be used") from error
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLEOFError as error:
        raise Unreachable(Fault.TLS, "the receiver hung up while TLS began") from error


def _reach(origin: Origin, lookups: Lookups) -> socket.socket:
    if settings.EGRESS_PROXY:
        return _through(urlsplit(settings.EGRESS_PROXY), origin, lookups)
    return _connect(_checked(lookups.find(origin.host, origin.port)))


def _checked(found: list[Found]) -> list[Found]:
    """Refuse the whole answer if any address in it is forbidden: it is a trick, or a mistake."""
    opened = settings.ALLOWED_NETWORKS
    if not all(allowed(str(each.address[0]), opened=opened) for each in found):
        raise Unreachable(Fault.BLOCKED, "address not allowed")
    return found


def _connect(found: list[Found]) -> socket.socket:
    """Connect to the first that answers, each within its share of what is left."""
    found = found[:MOST_TRIED]
    failure: OSError = OSError("no address")
    for number, each in enumerate(found):
        try:
            return _connected(each, deadline.left() / (len(found) - number))
        except OSError as error:
            failure = error
    raise _unconnected(failure)


def _connected(found: Found, seconds: float) -> socket.socket:
    connection = PunctualSocket(found.family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(seconds)
        connection.connect(found.address)
        if connection.getpeername()[:2] != found.address[:2]:
            raise Unreachable(Fault.BLOCKED, "connected to another address")
        connection.settimeout(deadline.left())  # what a TLS handshake may take
    except BaseException:
        connection.close()
        raise
    return connection


def _unconnected(failure: OSError) -> Exception:
    if isinstance(failure, TimeoutError):
        return failure
    if failure.errno in (errno.ECONNRESET, errno.ENOTCONN):  # accepted, and reset at once
        return Unreachable(Fault.RESET, "reset")
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return Unreachable(Fault.EXHAUSTED, "too many open files")
    return Unreachable(Fault.REFUSED, "refused")


def _through(proxy: SplitResult, origin: Origin, lookups: Lookups) -> socket.socket:
    """Have the proxy connect (RFC 9110 §9.3.6); where it is, the operator knows."""
    connection = _connected_to(proxy, lookups)
    try:
        connection.sendall(_request_to_connect(proxy, origin))
        answer = Answer(connection, method="CONNECT")
        answer.begin()
        answer.close()
        if not 200 <= answer.status <= 299:
            raise Unreachable(Fault.PROXY, f"the proxy answered {answer.status}")
        connection.settimeout(deadline.left())  # the proxy took its time
    except BaseException:
        connection.close()
        raise
    deadline.heard = False  # the receiver has said nothing yet
    return connection


def _connected_to(proxy: SplitResult, lookups: Lookups) -> socket.socket:
    host, port = proxy.hostname or "", proxy.port or PORTS["http"]
    try:
        return _connect(lookups.find(host, port, absolute=False))
    except Unreachable as error:
        if error.fault is Fault.EXHAUSTED:
            raise
        raise Unreachable(Fault.PROXY, f"the proxy: {error}") from error


def _request_to_connect(proxy: SplitResult, origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    where = f"{host}:{origin.port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username is not None:
        known_as = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        basic = base64.b64encode(known_as.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {basic}")
    return "\r\n".join([*lines, "", ""]).encode()
