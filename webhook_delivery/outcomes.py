"""What an answer means: delivered, to be attempted again after a while, or dead (pure)."""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime


class Fault(enum.StrEnum):
    """Why an attempt did not deliver: the closed list that operators filter by."""

    REDIRECT = "redirect"
    GONE = "gone"
    CLIENT_ERROR = "http_4xx"
    SERVER_ERROR = "http_5xx"
    TIMEOUT = "timeout"
    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    BLOCKED = "blocked"
    PROTOCOL = "protocol"
    CONFIG = "config"
    SECRET = "secret"  # noqa: S105 - a reason's name, not a password
    EXHAUSTED = "exhausted"
    WORKER_LOST = "worker_lost"
    UNRECORDED = "unrecorded"


class Verdict(enum.StrEnum):
    """What an attempt leads to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt found: an answer (`status`) or a fault, and what was seen of it."""

    status: int | None = None
    fault: Fault | None = None
    excerpt: bytes = b""
    detail: str = ""
    retry_after: float | None = None
    """Seconds the receiver asked us to wait."""

    @property
    def delivered(self) -> bool:
        return self.fault is None and self.status is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a delivery is retried; `schedule` holds the seconds before each retry."""

    schedule: Sequence[float]
    retry_after_cap: float
    retry_client_errors: bool = False

    @property
    def max_attempts(self) -> int:
        return len(self.schedule) + 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an outcome; `delay` is in seconds and set only for a retry."""

    verdict: Verdict
    delay: float | None = None


RETRIED_CLIENT_ERRORS = frozenset({408, 425, 429})
PERMANENT = frozenset({Fault.REDIRECT, Fault.CLIENT_ERROR, Fault.CONFIG})


def fault_of(status: int) -> Fault | None:
    """Name what is wrong with a final HTTP status, or None for 2xx: only the status line counts."""
    if 200 <= status <= 299:
        return None
    if status == 410:
        return Fault.GONE
    if 300 <= status <= 399:
        return Fault.REDIRECT
    if 400 <= status <= 499:
        return Fault.CLIENT_ERROR
    if 500 <= status <= 599:
        return Fault.SERVER_ERROR
    return Fault.PROTOCOL


def decide(outcome: Outcome, *, attempt: int, policy: Policy) -> Decision:
    """
    Say what follows from the outcome of the given attempt (1 is the first of a run).

    A retry waits at least as long as our own schedule says, longer if the receiver asked, and no
    longer than the policy's cap allows it to ask.
    """
    if outcome.delivered:
        return Decision(Verdict.DELIVERED)
    if _permanent(outcome, policy) or attempt >= policy.max_attempts:
        return Decision(Verdict.DEAD)
    own = policy.schedule[attempt - 1]
    asked = min(outcome.retry_after or 0, policy.retry_after_cap)
    return Decision(Verdict.RETRY, max(own, asked))


def lengthen(delay: float, *, jitter: float, chance: Callable[[], float] = random.random) -> float:
    """Lengthen `delay` by up to the share `jitter`: retries spread, and never hurry."""
    return delay * (1 + jitter * chance())


def schedule_for(
    event_type: str, schedules: Mapping[str, Sequence[float]]
) -> Sequence[float] | None:
    """Find the schedule whose pattern fits the event type most exactly."""
    fitting = (pattern for pattern in patterns_matching(event_type) if pattern in schedules)
    best = next(fitting, None)
    return None if best is None else schedules[best]


def patterns_matching(event_type: str) -> list[str]:
    """List the patterns an event type falls under, the most exact first: `a.b`, `a.*`, `*`."""
    words = event_type.split(".")
    prefixes = (".".join(words[:n]) for n in range(len(words) - 1, 0, -1))
    return [event_type, *(f"{prefix}.*" for prefix in prefixes), "*"]


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """
    Read a `Retry-After` header (RFC 9110 §10.2.3): whole seconds or an HTTP date.

    Returns seconds from `now`, or None for anything else: `int()` would also take `+5`, `1_000`
    and digits of other scripts, which no receiver means.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,18}", value.strip(), re.ASCII):
        return float(value)
    return _seconds_until(value, now)


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _permanent(outcome: Outcome, policy: Policy) -> bool:
    if outcome.fault is Fault.GONE:
        return True
    if outcome.fault not in PERMANENT or outcome.status in RETRIED_CLIENT_ERRORS:
        return False
    return outcome.fault is Fault.CONFIG or not policy.retry_client_errors
