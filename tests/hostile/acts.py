"""What a receiver can do with a connection."""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
DRIP_SECONDS = 0.3


class HungUp(Exception):
    """The client has gone, or the play is over."""


class Wire:
    """A connection, in the hands of a receiver; `closing` ends every pause."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self.connection = connection
        self._closing = closing
        self._unread = bytearray()

    def hear(self) -> bytes:
        """Take one whole request off the wire; raises HungUp if no more comes."""
        while not (end := _end_of_request(self._unread)):
            self._unread += self.take(65536)
        request = bytes(self._unread[:end])
        del self._unread[:end]
        return request

    def take(self, count: int) -> bytes:
        part = self.connection.recv(count)
        if not part:
            raise HungUp
        return part

    def pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise HungUp

    def play(self, *parts: Part) -> None:
        for part in parts:
            if isinstance(part, bytes):
                self.connection.sendall(part)
            else:
                part(self)


Act = Callable[[Wire], None]
Part = bytes | Act
"""What is said as it is, or what is done instead."""


def answers(*parts: Part) -> Act:
    """Hear the request, play the parts, and hang up once the client has."""

    def act(wire: Wire) -> None:
        wire.hear()
        wire.play(*parts, leaves)

    return act


def unasked(*parts: Part) -> Act:
    """Play the parts without having heard anything."""
    return lambda wire: wire.play(*parts)


def answers_each(first: bytes, others: bytes) -> Act:
    """Answer a client's first request so, and whatever it asks later otherwise."""

    def act(wire: Wire) -> None:
        while request := wire.hear():
            wire.play(first if b"\r\nx-post: 1\r\n" in request else others)

    return act


def drip(data: bytes) -> Act:
    """Say it byte by byte."""

    def act(wire: Wire) -> None:
        for byte in data:
            wire.play(bytes([byte]))
            wire.pause(DRIP_SECONDS)

    return act


def endless(part: bytes, *, every: float = 0.0) -> Act:
    """Say it again and again, as fast as anybody listens, or once in so many seconds."""

    def act(wire: Wire) -> None:
        while True:
            wire.play(part)
            wire.pause(every)

    return act


def sip(wire: Wire) -> None:
    """Hear the request by kilobytes."""
    while True:
        wire.take(1024)
        wire.pause(DRIP_SECONDS)


def hangs(wire: Wire) -> None:
    """Keep the connection, and neither hear nor say anything."""
    wire.pause(60)


def leaves(wire: Wire) -> None:
    """Hang up as well-behaved servers do: what was said still arrives."""
    wire.connection.shutdown(socket.SHUT_WR)
    while True:
        wire.take(65536)


def closes(wire: Wire) -> None:
    """Hang up at once; what has not been heard by then makes a reset of it."""
    wire.connection.close()
    raise HungUp


def resets(wire: Wire) -> None:
    linger_no_longer = struct.pack("ii", 1, 0)
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_longer)
    closes(wire)


def beneath_tls(*parts: Part) -> Act:
    """Play the parts past the encryption, on the bare connection."""

    def act(wire: Wire) -> None:
        with socket.socket(fileno=os.dup(wire.connection.fileno())) as bare:
            Wire(bare, wire._closing).play(*parts)

    return act


def _end_of_request(heard: bytearray) -> int:
    """Where the first request ends; 0 if it is not all there."""
    end = heard.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    length = LENGTH.search(heard, 0, end)
    end += int(length[1]) if length else 0
    return end if len(heard) >= end else 0
