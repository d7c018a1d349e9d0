"""A receiver on a real socket: answers by script, verifies each request, and keeps what it got."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

SILENCE = 0
"""In a script: take the request, and never answer."""


@dataclass(frozen=True)
class Reply:
    """One scripted answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Received:
    """One request, as it came off the wire."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    port: int
    """The sender's port: equal for requests on one connection."""
    status: int
    verified: bool | None
    """What `standardwebhooks` says of the signature; None if no secret was given for the path."""

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def as_json(self) -> str:
        body = base64.b64encode(self.body).decode()
        return json.dumps({**vars(self), "headers": dict(self.headers), "body": body})

    @classmethod
    def from_json(cls, line: str) -> Self:
        fields = json.loads(line)
        return cls(**{**fields, "body": base64.b64decode(fields["body"])})


class Receiver:
    """Serves on loopback until closed; paths without a script, or at its end, answer 200."""

    def __init__(self, *, port: int = 0, heard: Callable[[Received], None] | None = None) -> None:
        self.received: list[Received] = []
        self.secrets: dict[str, str] = {}
        self.thinks = 0.0  # seconds before each answer
        self.arrived = threading.Condition()
        self._scripts: dict[str, deque[Reply]] = defaultdict(deque)
        self._heard = heard
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def replies(self, *statuses: int | Reply, path: str = "/") -> Self:
        """Script the next answers for a path: statuses, whole replies, or SILENCE."""
        self._scripts[path].extend(
            status if isinstance(status, Reply) else Reply(status) for status in statuses
        )
        return self

    def follow(self, script: str) -> None:
        """Put another script, `PATH=503,503,200`, in the place of what a path still had."""
        path, _, statuses = script.partition("=")
        with self.arrived:
            self._scripts[path].clear()
            self.replies(*map(int, statuses.split(",")), path=path)

    def wait_for(self, count: int, *, seconds: float = 10) -> list[Received]:
        """Wait until so many requests have come in all, and return them."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.received) >= count, timeout=seconds)
            return list(self.received)

    def _take(self, path: str, headers: Mapping[str, str], body: bytes, port: int) -> Reply:
        with self.arrived:
            script = self._scripts[path]
            reply = script.popleft() if script else Reply(200)
            verified = self._verify(path, headers, body)
            got = Received(path, headers, body, time.time(), port, reply.status, verified)
            self.received.append(got)
            self.arrived.notify_all()
        if self._heard:
            self._heard(got)
        if reply.status == SILENCE:
            self._closing.wait(60)
        elif self.thinks:
            self._closing.wait(self.thinks)
        return reply

    def _verify(self, path: str, headers: Mapping[str, str], body: bytes) -> bool | None:
        secret = self.secrets.get(path, self.secrets.get("*"))
        if secret is None:
            return None
        try:
            Webhook(secret).verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that dies while it is answered is no error of the receiver's."""


def _handler_for(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died in the middle of its request
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver._take(self.path, headers, body, self.client_address[1])
            if reply.status == SILENCE:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


_reporting = threading.Lock()


def _report(line: str) -> None:
    """Print one line at a time: requests come in concurrently."""
    with _reporting:
        print(line, flush=True)


def main() -> None:
    """
    Run as a process: a line of JSON for each request, until standard input is closed.

    A line on standard input is another script for a path, and is answered when it holds.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", action="append", default=[], metavar="PATH=SECRET")
    parser.add_argument("--script", action="append", default=[], metavar="PATH=503,0,200")
    options = parser.parse_args()
    with Receiver(port=options.port, heard=lambda got: _report(got.as_json())) as it:
        it.secrets.update(pair.split("=", 1) for pair in options.secret)
        for script in options.script:
            it.follow(script)
        _report(json.dumps({"listening": it.url("")}))
        for line in sys.stdin:
            it.follow(line.strip())
            _report(json.dumps({"following": line.strip()}))


if __name__ == "__main__":
    main()
