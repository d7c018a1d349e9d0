"""What a drain did, and what it left."""

from __future__ import annotations

import math
from dataclasses import dataclass

from webhook_delivery.claims import Settled
from webhook_delivery.outcomes import Verdict


@dataclass
class Report:
    """What a drain did, and what it left."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    next_due: float | None = None
    """Seconds until the next delivery may be sent (0 or less: now); None if none waits."""

    def due_in(self) -> float:
        """The seconds until there is something to do again, as far as is known."""
        return math.inf if self.next_due is None else self.next_due

    @property
    def attempts(self) -> int:
        return self.delivered + self.retried + self.dead

    def count(self, settled: Settled) -> None:
        match settled.decision.verdict:
            case Verdict.DELIVERED:
                self.delivered += 1
            case Verdict.RETRY | Verdict.DEFERRED:
                self.retried += 1
            case Verdict.DEAD:
                self.dead += 1
