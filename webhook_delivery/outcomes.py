"""What an answer means: delivered, to be attempted again after a while, or dead (pure)."""

from __future__ import annotations

import enum
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    TOO_LARGE = "too_large"
    PROXY = "proxy"
    ABORTED = "aborted"
    CONFIG = "config"
    SECRET = "secret"  # noqa: S105 - a reason's name, not a password
    EXHAUSTED = "exhausted"
    INTERNAL = "internal"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    ERASED = "erased"
    WORKER_LOST = "worker_lost"
    UNRECORDED = "unrecorded"


class Verdict(enum.StrEnum):
    """What an attempt leads to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEFERRED = "deferred"  # a retry that does not count: the delivery keeps its budget
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
    disable: bool = False
    """Whether the receiver asked, in so many words, to be sent nothing more."""

    @property
    def unwelcome(self) -> bool:
        """Whether nothing more is to be sent there, until a person says otherwise."""
        return self.disable or self.fault is Fault.GONE

    @property
    def delivered(self) -> bool:
        return self.fault is None and self.status is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """How a delivery is retried; `schedule` holds the seconds before each retry."""

    schedule: Sequence[float]
    retry_after_cap: float
    retry_client_errors: bool = False
    deferring: bool = True
    """Whether what cannot be signed now waits; a test, for which a person waits, does not."""

    @property
    def max_attempts(self) -> int:
        return len(self.schedule) + 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an outcome; `delay` is in seconds, for a retry or a deferral."""

    verdict: Verdict
    delay: float | None = None


DEFERRED_AT_LEAST, DEFERRED_AT_MOST = 5.0, 300.0
"""Seconds: what is deferred goes on so soon after the key has been put right."""
RETRIED_CLIENT_ERRORS = frozenset({408, 425, 429})
FINAL = frozenset({Fault.GONE, Fault.ABORTED, Fault.EXPIRED, Fault.LAPSED, Fault.ERASED})
"""Faults after which nothing is tried again, whatever the policy."""
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


def heed(outcome: Outcome, asked: str) -> Outcome:
    """
    Do as the receiver asks in the header `webhook-delivery`; what it took, it has.

    `disable` is another way to say 410; `abort-message` that this event is to be sent no more. As
    proposed for Standard Webhooks (its pull request 291), and as Svix does.
    """
    match asked.strip().lower():
        case "disable":
            fault = None if outcome.delivered else Fault.GONE
            return replace(outcome, fault=fault, disable=True)
        case "abort-message" if not outcome.delivered:
            return replace(outcome, fault=Fault.ABORTED)
        case _:
            return outcome


def decide(outcome: Outcome, *, attempt: int, policy: Policy) -> Decision:
    """
    Say what follows from the outcome of the given attempt (1 is the first of a run).

    A retry waits at least as long as our own schedule says, longer if the receiver asked, and no
    longer than the policy's cap allows it to ask. What could not be signed is nobody's failure: it
    is deferred, for ever if need be, and that uses up no attempt; nor does a delivery die of what
    its worker lacked.
    """
    if outcome.delivered:
        return Decision(Verdict.DELIVERED)
    if outcome.fault is Fault.SECRET and policy.deferring:
        return Decision(Verdict.DEFERRED, _deferral(attempt, policy))
    last = attempt >= policy.max_attempts
    if last and outcome.fault is Fault.EXHAUSTED and policy.deferring:
        return Decision(Verdict.DEFERRED, DEFERRED_AT_MOST)
    if last or _permanent(outcome, policy):
        return Decision(Verdict.DEAD)
    own = policy.schedule[attempt - 1]
    asked = min(outcome.retry_after or 0, policy.retry_after_cap)
    return Decision(Verdict.RETRY, max(own, asked))


def in_time(decision: Decision, seconds: float | None) -> Decision:
    """
    Say what follows if the event expires in so many seconds: an attempt after that is none.

    A delivery whose next attempt would come too late is dead now, with the fault of its last one.
    None: it never expires.
    """
    late = seconds is not None and decision.delay is not None and decision.delay >= seconds
    return Decision(Verdict.DEAD) if late else decision


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
    text = value.strip(" \t")
    if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        return float(text)
    return _seconds_until(text, now)


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _deferral(attempt: int, policy: Policy) -> float:
    """As long as a retry would wait now, within bounds."""
    waits = policy.schedule[attempt - 1 :] or policy.schedule[-1:] or [DEFERRED_AT_MOST]
    return min(max(waits[0], DEFERRED_AT_LEAST), DEFERRED_AT_MOST)


def _permanent(outcome: Outcome, policy: Policy) -> bool:
    if outcome.fault in FINAL:
        return True
    if outcome.fault not in PERMANENT or outcome.status in RETRIED_CLIENT_ERRORS:
        return False
    return outcome.fault is Fault.CONFIG or not policy.retry_client_errors
