"""
A receiver that misbehaves as its path says, and remembers what arrived when.

/ok answers 204 · /slow?ms=20 after so long · /once503 503 first, then 204 for the same webhook-id
· /429 with Retry-After: 5 · /hang never · /drip a byte a second · /reset breaks off. What follows
the word, as in /ok/7, only tells endpoints apart. GET /records?of=/ok tells what arrived at paths
that begin so, GET /count?of=/ok how much; DELETE /records forgets it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n"
END = b"\r\n\r\n"

records: list[dict[str, Any]] = []
seen: set[tuple[str, str]] = set()


class Conversation(asyncio.Protocol):
    """One connection; requests on it follow one another, as our senders make them."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, rest = self.buffer.partition(END)
        if not end:
            return
        method, path, headers = _parsed(head)
        length = int(headers.get("content-length", 0))
        if len(rest) >= length:
            self.buffer = rest[length:]
            self._answer(method, path, headers, rest[:length])

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        if path.startswith(("/records", "/count")):
            self._tell(method, path)
            return
        _remember(path, headers, body)
        behave = getattr(self, f"_{path.split('/')[1].partition('?')[0]}", self._ok)
        behave(path, headers)

    def _tell(self, method: str, path: str) -> None:
        [prefix] = parse_qs(urlsplit(path).query).get("of", ["/"])
        wanted = [record for record in records if record["path"].startswith(prefix)]
        told = json.dumps(wanted if path.startswith("/records") else len(wanted)).encode()
        if method == "DELETE":
            records.clear()
            seen.clear()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told) + told)

    def _ok(self, path: str, headers: dict[str, str]) -> None:
        self.transport.write(NO_CONTENT)

    def _slow(self, path: str, headers: dict[str, str]) -> None:
        [wait] = parse_qs(urlsplit(path).query).get("ms", ["20"])
        asyncio.get_running_loop().call_later(int(wait) / 1000, self._write, NO_CONTENT)

    def _hang(self, path: str, headers: dict[str, str]) -> None:
        """Say nothing; the sender has to give up."""

    def _drip(self, path: str, headers: dict[str, str], left: bytes = NO_CONTENT) -> None:
        if left and not self.transport.is_closing():
            self.transport.write(left[:1])
            asyncio.get_running_loop().call_later(1, self._drip, path, headers, left[1:])

    def _reset(self, path: str, headers: dict[str, str]) -> None:
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _429(self, path: str, headers: dict[str, str]) -> None:
        self.transport.write(TOO_MANY)

    def _once503(self, path: str, headers: dict[str, str]) -> None:
        key = path, headers.get("webhook-id", "")
        self.transport.write(NO_CONTENT if key in seen else UNAVAILABLE)
        seen.add(key)

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in pairs}


def _remember(path: str, headers: dict[str, str], body: bytes) -> None:
    """When, by the clock that the publisher's commits are told by."""
    arrived = time.time()
    try:
        said = json.loads(body)
        number, at = said.get("n"), said.get("at")
    except (ValueError, AttributeError):
        number = at = None
    names = {"id": headers.get("webhook-id", ""), "attempt": headers.get("webhook-attempt", "")}
    records.append({"path": path, "n": number, "at": at, "arrived": arrived, **names})


async def main() -> None:
    """Listen on a free port, say which, and go on until standard input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Conversation, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
