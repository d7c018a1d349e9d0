"""How much may be claimed for an endpoint now, and what its answers change about that (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from webhook_delivery.outcomes import Fault, Outcome

BURST_SECONDS = 0.25
"""How far a rate may run ahead: a second sees at most a quarter more than the rate, and one."""
SLOWEST, FASTEST = 1 / 3600, 100_000.0
"""How many a second anything may be limited to."""
LEEWAY_SECONDS = 5.0
"""By so much a clock may be set back, and what it wrote before is believed still."""
SILENT = frozenset(
    {
        Fault.SERVER_ERROR,
        Fault.TIMEOUT,
        Fault.DNS,
        Fault.REFUSED,
        Fault.RESET,
        Fault.TLS,
        Fault.PROTOCOL,
        Fault.TOO_LARGE,
        Fault.PROXY,
    }
)
"""Faults of a receiver that is not there, or not well."""
BUSY = frozenset({429, 503})
"""Answers whose `Retry-After` speaks for all requests, not for one (RFC 9110 §15.6.4, RFC 6585)."""
OURS = frozenset(
    {
        Fault.CONFIG,
        Fault.BLOCKED,
        Fault.EXHAUSTED,
        Fault.INTERNAL,
        Fault.EXPIRED,
        Fault.LAPSED,
        Fault.ERASED,
        Fault.WORKER_LOST,
    }
)
"""Faults that say nothing about the receiver: nobody asked it."""
UNSIGNED = Fault.SECRET
"""Says nothing about the receiver either; but nothing else that it is owed can be signed."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """After so many failures in a row nothing is sent for a while, then one probe."""

    failures: int
    seconds: float
    """How long, the first time; each failed probe doubles it."""
    longest: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is remembered of an endpoint's traffic."""

    failures: int = 0
    """In a row."""
    openings: int = 0
    """How often in a row the breaker has opened."""
    blocked_until: datetime | None = None
    paced_until: datetime | None = None
    failing_since: datetime | None = None
    """When the first attempt failed that no success has followed; `ailing` changes these four."""
    failed_at: datetime | None = None
    """When the last one did."""
    failed_events: int = 0
    """Of how many events."""
    warned_at: datetime | None = None

    def blocked(self, now: datetime) -> bool:
        return self.blocked_until is not None and now < self.blocked_until


def allowance(
    traffic: Traffic,
    breaker: Breaker,
    *,
    in_flight: int,
    at_most: int,
    rate: float | None,
    now: datetime,
) -> int:
    """
    How many more may be claimed: none while blocked, one as a probe, else what is allowed.

    in_flight: how many are claimed already, by all drains.
    at_most: how many may be.
    rate: how many a second may begin; None: any number.
    """
    traffic = believed(traffic, breaker.longest, now)
    if traffic.blocked(now):
        return 0
    places = min(at_most, _trusted_with(traffic, breaker)) - in_flight
    return max(0, min(places, _tokens(traffic, rate, now)))


def paced(traffic: Traffic, claimed: int, *, rate: float, now: datetime) -> Traffic:
    """
    Count requests that begin now against the rate (the generic cell rate algorithm).

    Never further ahead than `allowance` lets it run: who asks regardless of it runs up no debt.
    """
    rate = sensible(rate)
    ahead = min(_ahead(traffic, rate, now) + claimed / rate, furthest(rate))
    return replace(traffic, paced_until=now + timedelta(seconds=ahead))


def sensible(rate: float) -> float:
    """
    The rate to go by, for a row may have been saved unvalidated: the nearest one that is allowed.

    NaN limits nothing, as on SQLite, which keeps NULL in its place; for PostgreSQL, too, it is
    more than any number.
    """
    return FASTEST if math.isnan(rate) else min(max(rate, SLOWEST), FASTEST)


def furthest(rate: float) -> float:
    """How many seconds ahead a claim may leave what is counted against a sensible rate."""
    return BURST_SECONDS + 1 / rate


def believed(traffic: Traffic, longest: float, now: datetime) -> Traffic:
    """
    The traffic without a pause that nobody can have set: it ends too late.

    longest: how many seconds a pause may last.
    The clock was wrong then, or the setting is another now. All else is remembered: a breaker that
    had opened waits for one probe.
    """
    until = traffic.blocked_until
    if until is None or (until - now).total_seconds() <= longest + LEEWAY_SECONDS:
        return traffic
    return replace(traffic, blocked_until=None)


def answered(
    traffic: Traffic, breaker: Breaker, outcomes: Iterable[Outcome], now: datetime
) -> Traffic:
    """
    What is remembered after these outcomes, in their order: failures count from the last success.

    While it is blocked they are of requests that began before: they neither open nor close it.
    What cannot be signed opens it at once: the next attempt is a probe of the key, as it were.
    """
    told = [outcome for outcome in outcomes if outcome.fault not in OURS]
    said = [outcome for outcome in told if outcome.fault is not UNSIGNED]
    failed = sum(1 for _ in takewhile(failing, reversed(said)))
    if failed < len(said) and not traffic.blocked(now):
        traffic = replace(traffic, failures=0, openings=0, blocked_until=None)
    if failed and not traffic.blocked(now):
        traffic = _failed(traffic, breaker, failed, now)
    if len(said) < len(told) and not traffic.blocked(now):
        traffic = _opened(replace(traffic, failures=traffic.failures + 1), breaker, now)
    return _asked_to_wait(traffic, breaker, said, now)


def failing(outcome: Outcome) -> bool:
    """Whether the receiver is not there or not well; a 400 shows that it is."""
    return outcome.fault in SILENT or outcome.status in BUSY


def stopping(outcome: Outcome) -> bool:
    """Whether nothing more may be sent for a while: the receiver says so, or none can be signed."""
    paused = bool(outcome.status in BUSY and outcome.retry_after)
    return outcome.fault is UNSIGNED or outcome.unwelcome or paused


def _trusted_with(traffic: Traffic, breaker: Breaker) -> int:
    """After failures only as many as it takes to open the breaker, or to close it again."""
    if not traffic.failures:
        return 1_000_000
    return 1 if traffic.openings else max(1, breaker.failures - traffic.failures)


def _tokens(traffic: Traffic, rate: float | None, now: datetime) -> int:
    if rate is None:
        return 1_000_000
    rate = sensible(rate)
    spare = BURST_SECONDS - _ahead(traffic, rate, now)
    return 0 if spare < 0 else math.floor(spare * rate) + 1


def _ahead(traffic: Traffic, rate: float, now: datetime) -> float:
    """
    How many seconds ahead of the rate the requests are that have begun.

    What no claim can have written is taken as a full burst: one may go now, the rest at the rate.
    """
    ahead = ((traffic.paced_until or now) - now).total_seconds()
    return max(0.0, ahead) if ahead <= furthest(rate) + LEEWAY_SECONDS else BURST_SECONDS


def _failed(traffic: Traffic, breaker: Breaker, failed: int, now: datetime) -> Traffic:
    traffic = replace(traffic, failures=traffic.failures + failed)
    return _opened(traffic, breaker, now) if traffic.failures >= breaker.failures else traffic


def _opened(traffic: Traffic, breaker: Breaker, now: datetime) -> Traffic:
    seconds = min(breaker.longest, breaker.seconds * 2.0 ** min(traffic.openings, 32))
    until = now + timedelta(seconds=seconds)
    return replace(traffic, openings=traffic.openings + 1, blocked_until=until)


def _asked_to_wait(
    traffic: Traffic, breaker: Breaker, outcomes: Iterable[Outcome], now: datetime
) -> Traffic:
    """A receiver that asks for a pause gets it, no longer than the breaker's longest."""
    asked = [o.retry_after for o in outcomes if o.status in BUSY and o.retry_after]
    if not asked:
        return traffic
    until = now + timedelta(seconds=min(max(asked), breaker.longest))
    return replace(traffic, blocked_until=max(until, traffic.blocked_until or until))
