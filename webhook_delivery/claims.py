"""What a worker holds: a claim, with all that one attempt needs, and the finding it ends in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from webhook_delivery.clock import elapsed
from webhook_delivery.conf import settings
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.outcomes import (
    Decision,
    Fault,
    Outcome,
    Policy,
    Verdict,
    decide,
    in_time,
    lengthen,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A right to one delivery until its lease ends; threads need nothing else from the database."""

    token: uuid.UUID
    delivery_id: int
    number: int
    """The attempt's number in the log."""
    number_in_run: int
    """The attempt's number since publishing, or since the last redelivery."""
    trigger: str
    endpoint_id: int
    url: str = field(repr=False)
    timeout: float
    sealed_secrets: tuple[bytes, ...] = field(repr=False)
    webhook_id: str
    content_type: str
    body: bytes = field(repr=False)
    policy: Policy
    due_at: datetime
    """When it was due, before it was claimed."""
    claimed_at: datetime
    """When, by the database's clock."""
    lease: float
    """How many seconds the claim lasts."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What its format says beside the body."""
    sealed_headers: bytes = field(default=b"", repr=False)
    ca_bundle: str = field(default="", repr=False)
    sealed_client_certificate: bytes = field(default=b"", repr=False)
    tls_minimum: str = "1.2"
    first_attempted_at: datetime | None = None
    """When the first attempt began; None if this is the first."""
    expires_at: datetime | None = None
    """When an attempt that nobody asked for may no longer begin; None: it always may."""
    sequence: int | None = None
    """The sequence it belongs to; None: to none."""
    doubted: bool = False
    """Whether the last that was heard of its endpoint was a failure."""
    ailing: bool = False
    """Whether nothing has arrived there since an attempt failed, or was refused."""
    lapsed: bool = False
    """Whether it was held for so long that it is not to be sent any more."""
    orphaned: bool = False
    """Whether its event or its endpoint is gone: then there is nothing to send."""
    traceparent: str = ""
    """The trace that its event was published in; empty: in none."""
    hollow: bool = False
    """Whether its event's body is gone: then there is nothing to send either."""
    _leased: float = 0.0
    """When, by `elapsed()`, the claim was asked for: before its lease began."""
    _dated: float = field(default_factory=elapsed)
    """When, by `elapsed()`, `claimed_at` was read."""

    @property
    def in_order(self) -> bool:
        """Whether it belongs to a sequence."""
        return self.sequence is not None

    def about(self) -> dict[str, object]:
        """The ids that a record of the log has of it."""
        return {
            "webhook_id": self.webhook_id or None,
            "delivery": self.delivery_id,
            "endpoint": self.endpoint_id,
            "attempt": self.number,
        }

    def left(self) -> float:
        """How many seconds the claim still lasts."""
        return self.lease - (elapsed() - self._leased)

    def ended(self) -> bool:
        return self.left() <= 0

    def now(self) -> datetime:
        """The present, by the database's clock: a worker's own may be wrong."""
        return self.claimed_at + timedelta(seconds=elapsed() - self._dated)

    def expires_in(self) -> float | None:
        """How many seconds attempts may still begin; None: as long as they like."""
        if self.expires_at is None:
            return None
        return (self.expires_at - self.now()).total_seconds()


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of the attempt that a claim was for."""

    claim: Claim
    outcome: Outcome
    started_at: datetime
    duration: float | None = None
    """In seconds; None if nobody knows."""

    def decide(self) -> Decision:
        """Say what follows, by the claim's policy; with jitter, and before the event expires."""
        return in_time(self.by_policy(), self.claim.expires_in())

    def by_policy(self) -> Decision:
        decision = decide(self.outcome, attempt=self.claim.number_in_run, policy=self.claim.policy)
        if decision.delay is None or decision.verdict is Verdict.DEFERRED:
            return decision
        return Decision(decision.verdict, lengthen(decision.delay, jitter=settings.RETRY_JITTER))


@dataclass(frozen=True, slots=True)
class Settled:
    """A finding that was recorded, and what it led to."""

    finding: Finding
    decision: Decision

    @property
    def delivery_id(self) -> int:
        return self.finding.claim.delivery_id

    @property
    def of_a_test(self) -> bool:
        """Whether it says nothing of how events fare."""
        return self.finding.claim.trigger == Delivery.Trigger.TEST

    @classmethod
    def lost(cls, claim: Claim) -> Self:
        """What becomes of a claim whose worker was lost: the lease was wait enough."""
        finding = Finding(claim, Outcome(fault=Fault.WORKER_LOST), started_at=claim.claimed_at)
        decision = finding.by_policy()
        at_once = replace(decision, delay=None if decision.delay is None else 0.0)
        return cls(finding, in_time(at_once, claim.expires_in()))

    def state(self, *, on: bool) -> Delivery.State:
        """What the delivery becomes; a retry is held if its endpoint is not on."""
        match self.decision.verdict:
            case Verdict.DELIVERED:
                return Delivery.State.DELIVERED
            case Verdict.DEAD:
                return Delivery.State.DEAD
            case Verdict.RETRY | Verdict.DEFERRED:
                return Delivery.State.PENDING if on else Delivery.State.HELD

    def due_at(self, now: datetime) -> datetime | None:
        delay = self.decision.delay
        return None if delay is None else now + timedelta(seconds=delay)

    def as_attempt(self, now: datetime) -> Attempt:
        """The row of the log that says so."""
        finding, claim, outcome = self.finding, self.finding.claim, self.finding.outcome
        return Attempt(
            delivery_id=claim.delivery_id,
            number=claim.number,
            trigger=claim.trigger,
            started_at=finding.started_at,
            duration_ms=None if finding.duration is None else round(finding.duration * 1000),
            status=outcome.status,
            fault=outcome.fault or "",
            detail=outcome.detail[:200],
            excerpt=outcome.excerpt,
            verdict=self.decision.verdict,
            next_due_at=self.due_at(now),
        )


def lease_seconds() -> float:
    """How long a claim lasts: the longest attempt, and time to record it."""
    return settings.MAX_TIMEOUT_SECONDS + settings.LEASE_MARGIN_SECONDS
