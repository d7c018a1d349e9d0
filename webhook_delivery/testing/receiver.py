"""
A receiver on a real socket: answers by script, verifies each request, and keeps what it got.

    with Receiver() as receiver:
        receiver.replies(503, 200)
        ...  # an endpoint at receiver.url("/"), an event, a drain
        [first, second] = receiver.received
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

from webhook_delivery.testing.replies import Reply
from webhook_delivery.verifying import InvalidSignature, verify

PREFIX = "webhook-"
SILENCE = 0
"""In a script: take the request, and never answer."""


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
    """Whether the signature fits; None if no secret was given for the path."""
    prefix: str = PREFIX

    @property
    def webhook_id(self) -> str:
        return self.headers[f"{self.prefix}id"]

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)

    def as_json(self) -> str:
        body = base64.b64encode(self.body).decode()
        return json.dumps({**vars(self), "headers": dict(self.headers), "body": body})

    @classmethod
    def from_json(cls, line: str) -> Self:
        fields = json.loads(line)
        return cls(**{**fields, "body": base64.b64decode(fields["body"])})


Verifier = Callable[[bytes, Mapping[str, str], str], Any]
"""Raises unless the body and the headers were signed with the secret."""


class Receiver:
    """
    Serves on loopback until closed; paths without a script, or at its end, answer 200.

    port: 0: any that is free. heard: is told of each request. verifier: judges signatures.
    prefix: what the headers' names begin with, as `HEADER_PREFIX` says.

    What goes to a running one goes over its socket, also where `Webhooks` catches all else.
    """

    running: ClassVar[set[str]] = set()
    """Where those that run in this process are."""

    def __init__(
        self,
        *,
        port: int = 0,
        heard: Callable[[Received], None] | None = None,
        verifier: Verifier | None = None,
        prefix: str = PREFIX,
    ) -> None:
        self.received: list[Received] = []
        """What has come in."""
        self.secrets: dict[str, str] = {}
        """By which signatures are verified, for each path; `*`: for all others."""
        self.thinks = 0.0
        """Seconds before each answer."""
        self.arrived = threading.Condition()
        self._scripts: dict[str, deque[Reply]] = defaultdict(deque)
        self._heard = heard
        self._verifier = verifier or partial(verify, prefix=prefix)
        self._prefix = prefix
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler_for(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        self.running.add(self.url())
        return self

    def __exit__(self, *exc: object) -> None:
        self.running.discard(self.url())
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @classmethod
    def serves(cls, url: str) -> bool:
        """Whether one that runs in this process is there."""
        return any(url.startswith(base) for base in cls.running)

    def url(self, path: str = "/") -> str:
        """Return the address of a path."""
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
            seen = path, headers, body, time.time(), port, reply.status
            got = Received(*seen, verified, self._prefix)
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
            self._verifier(body, headers, secret)
        except (InvalidSignature, ValueError):
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
