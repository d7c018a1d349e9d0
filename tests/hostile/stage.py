"""Plays acts: each on a port of its own, to whoever connects. A process of its own, if run."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from typing import NamedTuple, Self

from tests.hostile import misbehaviours, tls
from tests.hostile.acts import Act, HungUp, Wire, answers
from tests.hostile.certificates import Contexts
from tests.hostile.misbehaviours import DONE, TLS, Misbehaviour

SECTIONS = {**misbehaviours.SECTIONS, **tls.SECTIONS}
GOOD = "good"
"""The section of a receiver that is none of them."""
PATIENCE_SECONDS = 20
"""After which a receiver gives a silent client up."""


class Scene(NamedTuple):
    """An act, and how TLS is spoken there, if it is."""

    act: Act
    tls: ssl.SSLContext | None = None


class Stage:
    """Listens on loopback for each of the scenes; every connection has a thread of its own."""

    def __init__(self, scenes: Mapping[str, Scene]) -> None:
        self.ports: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        for name, scene in scenes.items():
            listening = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.ports[name] = listening.getsockname()[1]
            self._selector.register(listening, selectors.EVENT_READ, scene)
        self._usher = threading.Thread(target=self._admit, daemon=True)

    def __enter__(self) -> Self:
        self._usher.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._usher.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        for thread in self._threads:
            thread.join()

    def _admit(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(0.05):
                connection, _ = key.fileobj.accept()
                connection.settimeout(PATIENCE_SECONDS)
                # Or what was said last would wait, and be lost in a reset.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(
                    target=self._play, args=(connection, key.data), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _play(self, connection: socket.socket, scene: Scene) -> None:
        # A handshake that fails, a client that has gone: that is what the play is about.
        with contextlib.suppress(OSError, HungUp), _spoken(connection, scene.tls) as spoken:
            scene.act(Wire(spoken, self._closing))


def _spoken(connection: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    try:
        return tls.wrap_socket(connection, server_side=True) if tls else connection
    except BaseException:
        connection.close()
        raise


def name_of(over: str, section: str, name: str) -> str:
    return f"{over}: {section}: {name}"


def scenes(contexts: Contexts) -> dict[str, Scene]:
    """Every misbehaviour, over all that it is played over; and one receiver that is good."""
    good = Misbehaviour(answers(DONE), "204 delivered")
    return {
        name_of(over, section, name): Scene(
            each.act, contexts[each.context] if over == TLS and each.context else None
        )
        for section, them in {**SECTIONS, GOOD: {GOOD: good}}.items()
        for name, each in them.items()
        for over in each.over
    }


def main() -> None:
    """Say where everything is played, and by whose word; play until standard input ends."""
    contexts = Contexts()
    with Stage(scenes(contexts)) as stage:
        print(json.dumps({"authority": contexts.authority, "ports": stage.ports}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
