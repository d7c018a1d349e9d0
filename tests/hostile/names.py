"""
Attempts at names, in a network of their own: a real resolver asks a real server, on port 53.

`unshare --map-root-user --net --mount python -m tests.hostile.names` says what became of each.
There, public addresses are this machine's own, so that the usual rules hold, and nothing leaves it.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from tests.hostile.acts import HungUp, Wire

PUBLIC, OTHER, PRIVATE, METADATA = "8.8.8.8", "9.9.9.9", "10.0.0.1", "169.254.169.254"
LISTENING = (PUBLIC, PRIVATE, METADATA, "127.0.0.1")
DEAD_IPV6, PRIVATE_IPV6 = "2606:4700:4700::1111", "fd00::1"
TIMEOUT_SECONDS = 0.5
NO_SUCH_NAME, SERVER_FAILURE, REFUSED = 3, 2, 5
SILENCE, NONSENSE = -1, -2
A, CNAME, AAAA = 1, 5, 28


@dataclass
class Zone:
    """What the server says of one name, and how often it was asked for its IPv4 addresses."""

    answers: Sequence[Sequence[str]] = ()
    """Addresses, for each time that it is asked; the last ones again and again."""
    alias: str = ""
    code: int = 0
    asked: int = 0

    def next(self) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1] if self.answers else ()


ZONES = {
    "public.example": Zone([[PUBLIC]]),
    "private.example": Zone([[PRIVATE]]),
    "metadata.example": Zone([[METADATA]]),
    "alias.example": Zone(alias="private.example"),
    "mixed.example": Zone([[PUBLIC, PRIVATE]]),
    "mixed-the-other-way.example": Zone([[PRIVATE, PUBLIC]]),
    "mixed-with-ipv6.example": Zone([[PUBLIC, PRIVATE_IPV6]]),
    "rebinding.example": Zone([[PUBLIC], [PRIVATE]]),
    "first-dead.example": Zone([[OTHER, PUBLIC]]),
    "ipv6-dead.example": Zone([[DEAD_IPV6, PUBLIC]]),
    "all-dead.example": Zone([[OTHER]]),
    "empty.example": Zone(),
    "unknown.example": Zone(code=NO_SUCH_NAME),
    "failing.example": Zone(code=SERVER_FAILURE),
    "refusing.example": Zone(code=REFUSED),
    "silent.example": Zone(code=SILENCE),
    "nonsense.example": Zone(code=NONSENSE),
    "hooks.customer.corp.example": Zone([[PUBLIC]]),
    "metadata.corp.example": Zone([[PUBLIC]]),
}
SEARCHED = ("hooks.customer", "metadata")
"""Names that only the search domain of the machine would make anything of."""


@dataclass
class Report:
    """What became of attempts at one name."""

    ended: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reached: list[str] = field(default_factory=list)
    """The addresses at which a receiver got a request."""
    asked: dict[str, int] = field(default_factory=dict)
    """How often the server was asked for the IPv4 addresses of each name."""


class NameServer:
    """Answers on UDP, port 53."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            name, kind = _asked(query)
            if kind == A:
                self.asked[name] += 1
            if reply := self._reply(query, name, kind):
                self._socket.sendto(reply, client)

    def _reply(self, query: bytes, name: str, kind: int) -> bytes:
        zone = ZONES.get(name, Zone(code=NO_SUCH_NAME))
        if zone.code == SILENCE:
            return b""
        if zone.code == NONSENSE:
            return query[:2] + b"\xff" * 40
        question = query[12 : query.index(b"\0", 12) + 5]
        records = list(_records(zone, kind))
        flags = 0x8180 | zone.code
        head = query[:2] + struct.pack("!5H", flags, 1, len(records), 0, 0)
        return head + question + b"".join(records)


def _asked(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)[0]


def _records(zone: Zone, kind: int) -> Iterator[bytes]:
    owner = b"\xc0\x0c"
    if zone.alias:
        yield _record(owner, CNAME, _encoded(zone.alias))
        owner, zone = _encoded(zone.alias), ZONES[zone.alias]
    addresses = zone.next() if kind == A else (zone.answers or [[]])[0]
    family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
    for address in addresses:
        if family and (":" in address) == (kind == AAAA):
            yield _record(owner, kind, socket.inet_pton(family, address))


def _record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def _encoded(name: str) -> bytes:
    labels = (label.encode() for label in name.split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


class Receivers:
    """One on port 80 of each address; they hang up after each answer."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        for address in LISTENING:
            listening = socket.create_server((address, 80))
            threading.Thread(target=self._serve, args=(listening, address), daemon=True).start()

    def _serve(self, listening: socket.socket, address: str) -> None:
        while True:
            connection, _ = listening.accept()
            self.reached.append(address)
            with connection:
                try:
                    wire = Wire(connection, threading.Event())
                    wire.hear()
                    wire.play(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                except HungUp:
                    pass


def own_network() -> None:
    """Bring up the loopback, give it the addresses, and have the resolver ask there."""
    for number, address in enumerate(("127.0.0.1", PUBLIC, OTHER, PRIVATE, METADATA)):
        _own(f"lo:{number}" if number else "lo", address)
    folder = Path(tempfile.mkdtemp(prefix="webhook-names-"))
    _replace(folder, "/etc/resolv.conf", "nameserver 127.0.0.1\nsearch corp.example\n")
    _replace(folder, "/etc/nsswitch.conf", "hosts: files dns\n")


def _own(interface: str, address: str) -> None:
    set_address, set_flags, up = 0x8916, 0x8914, 0x1
    name = interface.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        wanted = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(control, set_address, wanted)
        fcntl.ioctl(control, set_flags, struct.pack("16sH14x", name, up))


def _replace(folder: Path, path: str, text: str) -> None:
    """For the processes of this mount namespace only."""
    (folder / Path(path).name).write_text(text)
    subprocess.run(["mount", "--bind", str(folder / Path(path).name), path], check=True)


def main() -> None:
    """Make two attempts at each name, and print what became of them."""
    own_network()
    settings.configure(WEBHOOK_DELIVERY={"ALLOW_HTTP": True})
    server, receivers = NameServer(), Receivers()
    names = (*ZONES, *SEARCHED)
    print(json.dumps({name: vars(_tried(name, server, receivers)) for name in names}), flush=True)


def _tried(name: str, server: NameServer, receivers: Receivers) -> Report:
    from webhook_delivery.transport import Transport

    server.asked.clear()
    receivers.reached.clear()
    report, transport = Report(), Transport()
    for _ in range(2):
        began = time.monotonic()
        outcome = transport.post(1, f"http://{name}/", b"{}", {}, timeout=TIMEOUT_SECONDS)
        report.seconds = max(report.seconds, time.monotonic() - began)
        report.ended.append(str(outcome.fault or "delivered"))
    report.reached, report.asked = list(receivers.reached), dict(server.asked)
    return report


if __name__ == "__main__":
    main()
