"""Keeps processes running as deployments do: starts anew what is gone, or what health calls ill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connection

from example_project.processes import Process
from webhook_delivery import health
from webhook_delivery.conf import settings


@dataclass
class Member:
    """One supervised process, whichever generation of it runs now."""

    name: str
    begin: Callable[[], Process]
    process: Process = field(init=False)
    since: float = field(init=False)
    frozen: bool = False
    """Whether a fault has stopped it for a while, or some of it."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.process = self.begin()
        self.since = time.monotonic()


@dataclass
class Supervisor:
    """The members, and what earlier generations of them left behind."""

    members: list[Member]
    replaces: bool = True
    orphaned: list[Process] = field(default_factory=list)
    silences: int = 0
    """How often health had to say that nothing drains."""

    def look(self) -> bool:
        """Start what is gone; if nothing has drained for too long, end all that should.

        Returns whether any had to be ended, which costs the claims that they hold.
        """
        if not self.replaces:
            return False
        for member in self.members:
            if not member.process.running():
                self.orphaned.append(member.process)
                member.start()
        if silent := self._silent():
            self.silences += 1
            for member in self.members:
                member.process.kill()
        return silent

    def _silent(self) -> bool:
        """Who has just begun is given the time to drain."""
        oldest = min(member.since for member in self.members)
        if time.monotonic() - oldest < settings.HEALTH_SILENCE_SECONDS:
            return False
        codes = {illness.code for illness in health.examine()}
        if "database" in codes:
            connection.close()
        return "silence" in codes

    def bury(self) -> bool:
        """End what outlived its leader. Returns whether anything had."""
        outlived = [process for process in self.orphaned if not process.gone()]
        for process in self.orphaned:
            process.kill()
            process.close()
        self.orphaned.clear()
        return bool(outlived)

    def end(self) -> None:
        """Ask all to end, and see to it that no process is left of any of them."""
        self.bury()
        for member in self.members:
            member.process.stop(seconds=3)
            member.process.close()
