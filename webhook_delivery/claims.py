"""What a worker holds: a claim, with all that one attempt needs, and the finding it ends in."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models.functions import Now

from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Secret
from webhook_delivery.outcomes import Decision, Outcome, Policy, decide, lengthen, schedule_for


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
    _taken: float = field(default_factory=time.monotonic)

    def seconds_held(self) -> float:
        return time.monotonic() - self._taken

    def ended(self) -> bool:
        return self.seconds_held() >= self.lease

    def timestamp(self) -> int:
        """Now, in Unix seconds, by the database's clock."""
        return int(self.claimed_at.timestamp() + self.seconds_held())


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


def load(deliveries: DeliveryQuerySet) -> list[Claim]:
    """Read the claims that these rows stand for, with their events, endpoints and live secrets."""
    rows = list(deliveries.select_related("event", "endpoint").annotate(now=Now()).order_by("pk"))
    sealed = defaultdict(list)
    endpoints = {row.endpoint_id for row in rows}
    for secret in Secret.objects.using(deliveries.db).live().filter(endpoint__in=endpoints):
        sealed[secret.endpoint_id].append(bytes(secret.sealed))
    return [_claim_of(row, vars(row)["now"], sealed[row.endpoint_id]) for row in rows]


def _claim_of(delivery: Delivery, now: datetime, sealed: Sequence[bytes]) -> Claim:
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
        policy=policy_for(endpoint, event.event_type),
        claimed_at=now,
        lease=lease_seconds(),
    )


def _timeout_of(endpoint: Endpoint) -> float:
    own = endpoint.timeout_seconds or settings.TIMEOUT_SECONDS
    return min(own, settings.MAX_TIMEOUT_SECONDS)


def policy_for(endpoint: Endpoint, event_type: str) -> Policy:
    """The endpoint's own schedule comes first, then its event type's, then everyone's."""
    schedule = endpoint.retry_schedule
    if schedule is None:
        schedule = schedule_for(event_type, settings.RETRY_SCHEDULES)
    return Policy(
        schedule=settings.RETRY_SCHEDULE if schedule is None else schedule,
        retry_after_cap=settings.RETRY_AFTER_CAP_SECONDS,
        retry_client_errors=settings.RETRY_CLIENT_ERRORS,
    )
