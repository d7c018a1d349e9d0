"""A receiver that only counts: thousands of requests a second, by webhook-id."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from typing import Self

WEBHOOK_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class CountingReceiver:
    """Serves on loopback, in a thread of its own, until closed; answers 204 to whole requests."""

    def __init__(self) -> None:
        self.received: Counter[bytes] = Counter()
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

    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def _run(self) -> None:
        serve = self._loop.create_server(lambda: _Connection(self.received), "127.0.0.1", 0)
        server = self._loop.run_until_complete(serve)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())
        self._loop.close()


class _Connection(asyncio.Protocol):
    def __init__(self, received: Counter[bytes]) -> None:
        self._received = received
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n") + 4) > 3:
            head = self._heard[:end]
            length = LENGTH.search(head)
            end += int(length[1]) if length else 0
            if len(self._heard) < end:
                return
            self._heard = self._heard[end:]
            self._received[WEBHOOK_ID.search(head)[1]] += 1
            self._transport.write(ANSWER)
