"""The peers, where they are: other packages that do the same work in environments of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, Protocol, cast

from benchmarks.stage import Stage


class Peer(Protocol):
    """Another package, as `benchmarks.peers` drives it."""

    name: str
    version: str
    usual_count: int

    def prepare(self) -> None: ...

    def drain(self, url: str, count: int, body_bytes: int) -> dict[str, Any]: ...

    def isolation(
        self, healthy: list[str], hanging: list[str], rate: float, seconds: float, timeout: float
    ) -> dict[str, Any]: ...


class Receiver(Protocol):
    """The one that the peers ask for what has arrived."""

    def ok(self, number: int) -> str: ...

    def hang(self, number: int) -> str: ...


def prepared(stage: Stage) -> tuple[list[Peer], list[str]]:
    """Those that can be run, and of each other why it is left out."""
    try:
        known: Sequence[Peer] = import_module("benchmarks.peers").PEERS
    except ImportError as error:
        return [], [f"The peers are left out: {error}."]
    ready, excuses = [], []
    for peer in known:
        stage.say(f"preparing {peer.name} …")
        try:
            peer.prepare()
            ready.append(peer)
        except Exception as error:  # a peer that cannot be installed must not cost the others
            excuses.append(f"{peer.name} is left out: it could not be installed ({error}).")
    return ready, excuses


def receiving() -> AbstractContextManager[Receiver]:
    """A receiver that the peers know how to ask."""
    begin = import_module("benchmarks.peers.receiver").receiving
    return cast(Callable[[], AbstractContextManager[Receiver]], begin)()
