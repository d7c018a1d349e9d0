"""`python -m tests.chaos.receiver`: thinks, fails now and then, and prints each request it got."""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

NEVER = "/never"
"""The path that answers 503 to everything."""
RESET = 0
"""Among the answers: hang up instead."""


@dataclass(frozen=True)
class Request:
    """One request, as the receiver logged it before it thought of an answer."""

    webhook_id: str
    attempt: int
    signed: int
    """When it was signed, in whole seconds."""
    at: float
    """When it had arrived."""
    status: int
    verified: bool
    port: int
    """The sender's."""

    @classmethod
    def from_json(cls, line: str) -> Self:
        return cls(**json.loads(line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--fails", type=float, default=0.12, help="which share is not taken")
    parser.add_argument("--thinks", type=float, default=0.4, help="for how long at most")
    Handler.options = parser.parse_args()
    Handler.chance = random.Random(Handler.options.seed)
    server = _Server(("127.0.0.1", 0), Handler)
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    server.serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that dies while it is answered is no error of the receiver's."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: argparse.Namespace
    chance: random.Random

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender died in the middle of its request
            self.close_connection = True
            return
        status = self._decide()
        self._log(body, status)
        time.sleep(self.chance.uniform(0.02, max(0.02, self.options.thinks)))
        if status == RESET:
            self.close_connection = True
        else:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _decide(self) -> int:
        if self.path == NEVER:
            return 503
        fails = self.chance.random() < self.options.fails
        return self.chance.choice([503, 503, RESET]) if fails else 200

    def _log(self, body: bytes, status: int) -> None:
        request = Request(
            webhook_id=self.headers["webhook-id"],
            attempt=int(self.headers["webhook-attempt"]),
            signed=int(self.headers["webhook-timestamp"]),
            at=time.time(),
            status=status,
            verified=self._verify(body),
            port=self.client_address[1],
        )
        # One write: lines of several threads must not mix.
        print(json.dumps(asdict(request)) + "\n", end="", flush=True)

    def _verify(self, body: bytes) -> bool:
        try:
            Webhook(self.options.secret).verify(body, dict(self.headers), json_parse=False)
        except WebhookVerificationError:
            return False
        return True

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    main()
