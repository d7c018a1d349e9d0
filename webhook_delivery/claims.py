"""What a worker holds: a claim, with all that one attempt needs, and the finding it ends in."""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Secret
from webhook_delivery.outcomes import Decision, Outcome, Policy, decide, lengthen, schedule_for
from webhook_delivery.validation import validate_schedule

logger = logging.getLogger(__name__)


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
    url: str
    timeout: float
    sealed_secrets: tuple[bytes, ...] = field(repr=False)
    webhook_id: str
    content_type: str
    body: bytes = field(repr=False)
    policy: Policy
    claimed_at: datetime
    """When, by the database's clock."""
    lease: float
    """How many seconds the claim lasts."""
    _leased: float = 0.0
    """When, by the worker's monotonic clock, the claim was asked for: before its lease began."""
    _dated: float = field(default_factory=time.monotonic)
    """When, by the worker's monotonic clock, `claimed_at` was read."""

    def ended(self) -> bool:
        return time.monotonic() - self._leased >= self.lease

    def now(self) -> datetime:
        """The present, by the database's clock: a worker's own may be wrong."""
        return self.claimed_at + timedelta(seconds=time.monotonic() - self._dated)


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of the attempt that a claim was for."""

    claim: Claim
    outcome: Outcome
    started_at: datetime
    duration: float | None = None
    """In seconds; None if nobody knows."""

    def decide(self) -> Decision:
        """Say what follows, by the claim's policy and with the jitter of the settings."""
        decision = decide(self.outcome, attempt=self.claim.number_in_run, policy=self.claim.policy)
        if decision.delay is None:
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

    def due_at(self, now: datetime) -> datetime | None:
        delay = self.decision.delay
        return None if delay is None else now + timedelta(seconds=delay)


def lease_seconds() -> float:
    """How long a claim lasts: the longest attempt, and time to record it."""
    return settings.MAX_TIMEOUT_SECONDS + settings.LEASE_MARGIN_SECONDS


def load(deliveries: DeliveryQuerySet, *, leased: float) -> list[Claim]:
    """Read the claims that these rows stand for; `leased`: when they were asked for, monotonic."""
    rows = list(deliveries.select_related("event", "endpoint").annotate(now=Now()).order_by("pk"))
    sealed = defaultdict(list)
    endpoints = {row.endpoint_id for row in rows}
    for secret in Secret.objects.using(deliveries.db).live().filter(endpoint__in=endpoints):
        sealed[secret.endpoint_id].append(bytes(secret.sealed))
    return [_claim_of(row, vars(row)["now"], sealed[row.endpoint_id], leased) for row in rows]


def _claim_of(delivery: Delivery, now: datetime, sealed: Sequence[bytes], leased: float) -> Claim:
    event, endpoint = delivery.event, delivery.endpoint
    assert delivery.claim is not None
    return Claim(
        token=delivery.claim,
        delivery_id=delivery.pk,
        number=delivery.attempts_made,
        number_in_run=delivery.attempts_in_run,
        trigger=delivery.trigger,
        endpoint_id=endpoint.pk,
        url=endpoint.url,
        timeout=_timeout_of(endpoint),
        sealed_secrets=tuple(sealed),
        webhook_id=event.webhook_id,
        content_type=event.content_type,
        body=bytes(event.body),
        policy=_policy_of(delivery),
        claimed_at=now,
        lease=lease_seconds(),
        _leased=leased,
    )


def _timeout_of(endpoint: Endpoint) -> float:
    own = endpoint.timeout_seconds or 0.0
    return min(own if own > 0 else settings.TIMEOUT_SECONDS, settings.MAX_TIMEOUT_SECONDS)


def _policy_of(delivery: Delivery) -> Policy:
    """A person waits for the outcome of a test: it is made once."""
    policy = policy_for(delivery.endpoint, delivery.event.event_type)
    test = delivery.trigger == Delivery.Trigger.TEST
    return replace(policy, schedule=()) if test else policy


def policy_for(endpoint: Endpoint, event_type: str) -> Policy:
    """The endpoint's own schedule comes first, then its event type's, then everyone's."""
    schedule = _own_schedule(endpoint)
    if schedule is None:
        schedule = schedule_for(event_type, settings.RETRY_SCHEDULES)
    return Policy(
        schedule=settings.RETRY_SCHEDULE if schedule is None else schedule,
        retry_after_cap=settings.RETRY_AFTER_CAP_SECONDS,
        retry_client_errors=settings.RETRY_CLIENT_ERRORS,
    )


def _own_schedule(endpoint: Endpoint) -> Sequence[float] | None:
    """An endpoint that was saved unvalidated must not stop what is settled together with it."""
    schedule: Sequence[float] | None = endpoint.retry_schedule
    if schedule is None:
        return None
    try:
        validate_schedule(schedule)
    except ValidationError:
        logger.error("Endpoint %s has no valid retry schedule; using the default", endpoint.pk)
        return None
    return schedule
