"""A receiver that only counts: thousands of requests a second, by webhook-id and by path."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from typing import Self

WEBHOOK_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class CountingReceiver:
    """
    Serves on loopback, in a thread of its own, until closed; answers 204 to whole requests.

    thinks: for so many seconds, before each answer.
    """

    def __init__(self, *, thinks: float = 0) -> None:
        self.thinks = thinks
        self.received: Counter[bytes] = Counter()
        self.connections = 0
        self.arrivals: list[tuple[float, str]] = []
        """When, by the clock of the wall, which path was asked."""
        self.present: Counter[str] = Counter()
        """How many requests wait for their answer now, by path."""
        self.most: Counter[str] = Counter()
        """How many have waited at once."""
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def url(self, name: str = "") -> str:
        return f"http://127.0.0.1:{self._port}/{name}"

    def come(self, head: bytes) -> str:
        """A request is there; returns its path."""
        path = head.split(b" ", 2)[1].decode()
        self.received[WEBHOOK_ID.search(head)[1]] += 1
        self.arrivals.append((time.time(), path))
        self.present[path] += 1
        self.most[path] = max(self.most[path], self.present[path])
        return path

    def _run(self) -> None:
        serve = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        server = self._loop.run_until_complete(serve)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())
        self._loop.close()


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: CountingReceiver) -> None:
        self._receiver = receiver
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._receiver.connections += 1

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n") + 4) > 3:
            head = self._heard[:end]
            length = LENGTH.search(head)
            end += int(length[1]) if length else 0
            if len(self._heard) < end:
                return
            self._heard = self._heard[end:]
            self._think(self._receiver.come(head))

    def _think(self, path: str) -> None:
        if self._receiver.thinks:
            asyncio.get_running_loop().call_later(self._receiver.thinks, self._answer, path)
        else:
            self._answer(path)

    def _answer(self, path: str) -> None:
        self._receiver.present[path] -= 1
        self._transport.write(ANSWER)
