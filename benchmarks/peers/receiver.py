"""Answers /ok/<n> with 204 at once and /hang/<n> never, and keeps when each request arrived."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.request import urlopen

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
COMMITTED = re.compile(rb'"committed": *([0-9.]+)')


@dataclass
class Arrivals:
    """Every request that came, in memory to be asked for and in the log to be kept."""

    log: TextIO
    lines: list[str]
    connections: int = 0

    def keep(self, path: str, body: bytes, connection: int) -> None:
        committed = COMMITTED.search(body)
        self.lines.append(
            json.dumps(
                {
                    "path": path,
                    "arrived": time.time(),
                    "committed": float(committed[1]) if committed else None,
                    "bytes": len(body),
                    "connection": connection,
                }
            )
        )
        self.log.write(self.lines[-1] + "\n")

    def since(self, number: int) -> bytes:
        return ("[" + ",".join(self.lines[number:]) + "]").encode()


class Connection(asyncio.Protocol):
    """One client; it may send many requests, one after another."""

    transport: asyncio.Transport

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.received = b""
        self.hangs = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.arrivals.connections += 1
        self.number = self.arrivals.connections

    def data_received(self, data: bytes) -> None:
        self.received += data
        while not self.hangs and self._answer_one():
            pass

    def _answer_one(self) -> bool:
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not separator or len(rest) < size:
            return False
        self.received = rest[size:]
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self._answer(method, path, rest[:size])
        return True

    def _answer(self, method: str, path: str, body: bytes) -> None:
        if method == "GET" and path.startswith("/arrivals/"):
            self._tell(self.arrivals.since(int(path.removeprefix("/arrivals/"))))
        elif path.startswith("/ok/"):
            self.transport.write(NO_CONTENT)
            self.arrivals.keep(path, body, self.number)
        elif path.startswith("/hang/"):
            self.hangs = True
            self.arrivals.keep(path, body, self.number)
        else:
            self.transport.write(NOT_FOUND)

    def _tell(self, content: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
        self.transport.write(head.encode() + content)


async def serve(port: int, log: TextIO) -> None:
    """Serve on loopback until ended; port 0 takes a free one. The port is printed first."""
    arrivals = Arrivals(log, [])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class Receiver:
    """A running receiver, as the measuring process sees it."""

    origin: str
    log: Path

    def ok(self, number: int) -> str:
        return f"{self.origin}/ok/{number}"

    def hang(self, number: int) -> str:
        return f"{self.origin}/hang/{number}"

    def arrivals(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.origin}/arrivals/0") as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver in a process of its own."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "arrivals.jsonl"
        command = [sys.executable, "-m", "benchmarks.peers.receiver", "--log", str(log)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            yield Receiver(f"http://127.0.0.1:{int(process.stdout.readline())}", log)
        finally:
            process.terminate()
            process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, and prints it")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="a line for a request")
    options = parser.parse_args()
    with options.log.open("a", buffering=1) as log:
        asyncio.run(serve(options.port, log))


if __name__ == "__main__":
    main()
