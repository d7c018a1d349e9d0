"""Keeps one attempt within its time: sockets that allow each read only what is left of it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any


class Deadline(threading.local):
    """The deadline of the attempt this thread is making; one thread makes one attempt at a time."""

    ends = float("inf")

    def start(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds

    def left(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return left


deadline = Deadline()


class PunctualSocket(socket.socket):
    """Allows each read and write only what is left of the attempt: a dripping answer still ends."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(deadline.left())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(deadline.left())
        super().sendall(*args, **kwargs)


class PunctualTLSSocket(ssl.SSLSocket):
    """The same over TLS."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(deadline.left())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(deadline.left())
        return super().send(*args, **kwargs)
