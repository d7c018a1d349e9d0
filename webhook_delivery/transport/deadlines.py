"""Keeps one attempt within its time and its bytes: sockets that allow only what is left of them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

ANSWER_BYTES = 64 * 1024
"""How much of an answer is read at most: interim answers, status, headers, start of the body."""


class TooLarge(OSError):
    """The receiver said more than an answer may hold."""


class Deadline(threading.local):
    """The limits of the attempt this thread is making; one thread makes one attempt at a time."""

    ends = float("inf")
    bytes_left = ANSWER_BYTES
    heard = False
    """Whether its receiver has said anything yet."""

    def start(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.bytes_left, self.heard = ANSWER_BYTES, False

    def left(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return left

    def hear(self, count: int) -> None:
        """Count what the receiver said; raises TooLarge when that was too much."""
        self.heard = self.heard or count > 0
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise TooLarge("answer too large")


deadline = Deadline()


def _keep(connection: socket.socket) -> None:
    """Let the next read or write last no longer than the attempt has left."""
    left = deadline.left()
    set_to = connection.gettimeout()
    if set_to is None or abs(set_to - left) > SLACK_SECONDS:
        connection.settimeout(left)


SLACK_SECONDS = 0.05
"""A timeout this close is left as it is: setting one costs a system call."""


class PunctualSocket(socket.socket):
    """Allows each read and write only what is left of the attempt: a dripping answer still ends."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        _keep(self)
        count = super().recv_into(*args, **kwargs)
        deadline.hear(count)
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        _keep(self)
        super().sendall(*args, **kwargs)


class PunctualTLSSocket(ssl.SSLSocket):
    """The same over TLS."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        _keep(self)
        count = super().recv_into(*args, **kwargs)
        deadline.hear(count)
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        _keep(self)
        return super().send(*args, **kwargs)
