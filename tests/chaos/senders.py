"""Sees which member sends over which port: from outside, by its sockets."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from example_project.processes import Process
from tests.chaos.supervisor import Member


class Senders:
    """The ports, by member, from which connections to the receiver were seen."""

    def __init__(self, receiver: int) -> None:
        self.receiver = receiver
        self.ports: dict[str, set[int]] = defaultdict(set)
        self._looked = 0.0

    def look(self, members: list[Member]) -> None:
        """Twice a second is enough: senders keep their connections for as long as they drain."""
        if time.monotonic() - self._looked < 0.5:
            return
        self._looked = time.monotonic()
        sockets = dict(_sockets_to(self.receiver))
        for member in members:
            mine = sockets.keys() & set(_sockets_of(member.process))
            self.ports[member.name] |= {sockets[each] for each in mine}


def _sockets_to(port: int) -> Iterator[tuple[str, int]]:
    """The sockets of this machine that are connected to a port of it, and their own ports."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(fields[side].rpartition(":")[2], 16) for side in (1, 2))
        if remote == port:
            yield f"socket:[{fields[9]}]", local


def _sockets_of(process: Process) -> Iterator[str]:
    for pid in process.alive():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    yield str(descriptor.readlink())
