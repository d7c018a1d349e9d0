"""What a receiver in a test answers, in turn: statuses, whole replies, faults, functions."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook_delivery.outcomes import Fault


@dataclass(frozen=True)
class Reply:
    """One answer: a status, headers and a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Answer = int | Reply | Fault | OSError | type[OSError] | Callable[[Any], Any]
"""A status, a `Reply`, a `Fault` or an OSError for what goes wrong on the way, or a function of the
request that returns or raises one of these."""

EVERYWHERE = ""


class Script:
    """The answers that are still to be given, for each URL, and for all others."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Answer]] = defaultdict(deque)
        self._last: dict[str, Answer] = {EVERYWHERE: 200}

    def extend(self, answers: tuple[Answer, ...], to: str = EVERYWHERE) -> None:
        self._next[to].extend(answers)

    def end_in(self, answer: Answer, to: str = EVERYWHERE) -> None:
        """Answer so whenever nothing else is scripted."""
        self._last[to] = answer

    def take(self, url: str) -> Answer:
        """The next answer: what is scripted for the URL goes before what is for any."""
        for to in (url, EVERYWHERE):
            if self._next[to]:
                return self._next[to].popleft()
            if to in self._last:
                return self._last[to]
        raise AssertionError("the script has no end")  # pragma: no cover - it has, for any URL
