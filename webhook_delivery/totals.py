"""What all attempts together came to, as counters that only grow: how many ended how, how soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple, Self

ARRIVED = "delivered"
"""The outcome of an attempt that had no fault."""
BOUNDS = (
    10,
    20,
    50,
    100,
    200,
    350,
    500,
    750,
    1_000,
    1_500,
    2_000,
    3_000,
    5_000,
    7_500,
    10_000,
    15_000,
    20_000,
    30_000,
)
"""In milliseconds: how long attempts of each kind lasted at most; one kind more lasted longer."""


class Ending(NamedTuple):
    """What an attempt found, `delivered` or its fault, and what it led to."""

    outcome: str
    verdict: str

    @classmethod
    def of(cls, fault: str, verdict: str) -> Self:
        return cls(fault or ARRIVED, verdict)


class Alike(NamedTuple):
    """So many attempts that ended in the same way, after about as long."""

    ending: Ending
    bucket: int | None
    """The index of the bound that they kept within; None: it is not known how long they took."""
    number: int
    milliseconds: int
    """How long they took together."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many attempts ended how, how many kept within each bound, and how long all took."""

    endings: Mapping[Ending, int] = field(default_factory=dict)
    durations: Sequence[int] = ()
    milliseconds: int = 0

    def plus(self, found: Iterable[Alike]) -> Totals:
        endings, durations, took = Counter(self.endings), Counter[int](), self.milliseconds
        for each in found:
            endings[each.ending] += each.number
            took += each.milliseconds
            if each.bucket is not None:
                durations[each.bucket] += each.number
        more = [durations[i] for i in range(max(durations, default=-1) + 1)]
        sums = [mine + new for mine, new in zip_longest(self.durations, more, fillvalue=0)]
        return Totals(dict(endings), sums, took)

    def as_json(self) -> dict[str, Any]:
        """As the roll-up's row keeps it."""
        return {
            "endings": [[*ending, number] for ending, number in sorted(self.endings.items())],
            "durations": list(self.durations),
            "milliseconds": self.milliseconds,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote; of an empty mapping, that nothing was attempted."""
        endings = {Ending(*who): number for *who, number in told.get("endings", ())}
        return cls(endings, told.get("durations", ()), told.get("milliseconds", 0))
