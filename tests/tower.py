"""Flights whose landing a test decides about."""

from __future__ import annotations

import queue
import threading

from tests.owing import NOW
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.flights import Flights
from webhook_delivery.outcomes import Outcome

PATIENCE = 20
"""Seconds after which a test that waits has failed."""


class Tower:
    """Lets each flight land when it is told to, and knows who is in the air."""

    def __init__(self) -> None:
        self.begun: list[Claim] = []
        self.landed: queue.SimpleQueue[tuple[Claim, Finding | None]] = queue.SimpleQueue()
        self.broken = self.open = False
        self.stopped: set[int] = set()
        self._cleared: set[int] = set()
        self._changed = threading.Condition()
        self.flights = Flights(self._fly, self.landed.put, self.stopped.__contains__)

    def _fly(self, claim: Claim) -> Finding:
        with self._changed:
            self.begun.append(claim)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._may_land(claim), PATIENCE)
        if self.broken:
            raise RuntimeError("a bug")
        return Finding(claim, Outcome(204), started_at=NOW)

    def _may_land(self, claim: Claim) -> bool:
        return self.open or id(claim) in self._cleared

    def launch(self, *claims: Claim) -> None:
        self.flights.launch(claims)

    def wait_for(self, count: int) -> list[Claim]:
        """Those that have begun, once they are so many; reinforces meanwhile, as drains do."""
        for _ in range(PATIENCE * 50):
            self.flights.reinforce()
            with self._changed:
                if self._changed.wait_for(lambda: len(self.begun) >= count, 0.02):
                    return list(self.begun)
        raise AssertionError(f"{len(self.begun)} have begun, not {count}")

    def land(self, *claims: Claim) -> list[tuple[Claim, Finding | None]]:
        with self._changed:
            self._cleared |= {id(claim) for claim in claims}
            self._changed.notify_all()
        return [self.landed.get(timeout=PATIENCE) for _ in claims]

    def close(self) -> None:
        with self._changed:
            self.open = True
            self._changed.notify_all()
        self.flights.close()
        for thread in threads():
            thread.join(PATIENCE)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "webhook-attempt"]
