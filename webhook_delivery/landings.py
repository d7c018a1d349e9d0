"""What has landed: attempts that are over, until they are settled together."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, field

from webhook_delivery.claims import Claim, Finding

GATHER_SECONDS, GATHER_LONGEST = 0.05, 0.15
"""How long outcomes are gathered before they are settled together: what a kill can double."""
GATHER_ENOUGH, GATHER_COUNT = 32, 200
"""So many are settled after the shorter time, and so many at once."""


@dataclass(frozen=True)
class Landed:
    """What landed just now; claims that were not begun land, too, without a finding."""

    findings: list[Finding] = field(default_factory=list)
    unbegun: list[Claim] = field(default_factory=list)


class Landings:
    """Where the threads leave what they found, and the drain takes it from."""

    def __init__(self) -> None:
        self._landed: queue.SimpleQueue[tuple[Claim, Finding | None]] = queue.SimpleQueue()
        self._first_at = 0.0
        self.unsettled: list[Finding] = []

    def land(self, landed: tuple[Claim, Finding | None]) -> None:
        self._landed.put(landed)

    def take_in(self, seconds: float) -> Landed:
        """Take in all that has landed; wait for the first of it, so long."""
        new = Landed()
        try:
            self._sort(self._landed.get(timeout=seconds) if seconds else self._next(), new)
            while True:
                self._sort(self._next(), new)
        except queue.Empty:
            return new

    def are_enough(self) -> bool:
        """Whether they are worth a transaction, or have waited long enough for more."""
        waited = self._waited()
        enough = GATHER_ENOUGH if waited > GATHER_SECONDS else GATHER_COUNT
        return len(self.unsettled) >= (1 if waited > GATHER_LONGEST else enough)

    def can_wait(self) -> bool:
        """Whether something that is soon done may be done before they are settled."""
        return self._waited() <= GATHER_LONGEST and len(self.unsettled) < GATHER_COUNT

    def keep_what_has_not_ended(self) -> bool:
        """Drop the findings whose claims are somebody else's by now; whether any is left."""
        self.unsettled = [found for found in self.unsettled if not found.claim.ended()]
        return bool(self.unsettled)

    def _waited(self) -> float:
        return time.monotonic() - self._first_at

    def _next(self) -> tuple[Claim, Finding | None]:
        return self._landed.get_nowait()

    def _sort(self, landed: tuple[Claim, Finding | None], new: Landed) -> None:
        claim, finding = landed
        if finding is None:
            new.unbegun.append(claim)
            return
        if not self.unsettled:
            self._first_at = time.monotonic()
        self.unsettled.append(finding)
        new.findings.append(finding)
