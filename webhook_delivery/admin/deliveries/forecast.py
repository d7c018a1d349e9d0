"""What is still to come of a delivery, if nothing goes well (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from webhook_delivery.outcomes import Policy


@dataclass(frozen=True, slots=True)
class Forecast:
    """Which attempt comes next, of how many, and how long is waited after it."""

    number: int
    """Since publishing, or since the last redelivery; 1 is the first."""
    of: int
    waits: tuple[float, ...]
    """Seconds before each attempt after that one, without jitter."""
    dead_at: datetime | None
    """About when it will be dead if all of them fail; None if nobody knows when they begin."""

    @property
    def last(self) -> bool:
        return not self.waits


def forecast(
    policy: Policy,
    *,
    number: int,
    begins: datetime | None,
    jitter: float = 0.0,
    expires_at: datetime | None = None,
) -> Forecast:
    """
    Say what the policy leads to when the attempt of that number, and all after it, fail.

    begins: when that attempt does; None if nobody knows.
    jitter: by which share each wait is lengthened at most; half of it is to be expected.
    expires_at: after that no attempt begins, and who could only wait for one is dead.
    """
    waits = tuple(policy.schedule[number - 1 :])
    if begins and expires_at:
        left = (expires_at - begins).total_seconds()
        waits = waits[: sum(1 for waited in accumulate(waits) if waited < left)]
    expected = timedelta(seconds=sum(waits) * (1 + jitter / 2))
    return Forecast(
        number=number,
        of=number + len(waits),
        waits=waits,
        dead_at=begins and begins + expected,
    )
