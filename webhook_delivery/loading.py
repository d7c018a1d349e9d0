"""Reads, for rows that were claimed, all that one attempt needs: address, secrets, body, policy."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError

from webhook_delivery.claims import Claim, lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Secret
from webhook_delivery.outcomes import Policy, schedule_for
from webhook_delivery.validation import validate_schedule

logger = logging.getLogger(__name__)

ORPHANED: dict[str, Any] = {
    "url": "",
    "timeout": 0.0,
    "sealed_secrets": (),
    "webhook_id": "",
    "content_type": "",
    "body": b"",
    "policy": Policy(schedule=(), retry_after_cap=0.0),
    "orphaned": True,
}
"""What there is of a delivery whose event or endpoint is gone: nothing, and it is not retried."""


def load(deliveries: DeliveryQuerySet, *, expected: int, leased: float) -> list[Claim]:
    """
    Read the claims that these rows stand for.

    expected: how many rows there are; those that cannot be joined are orphaned.
    leased: when they were asked for, by the monotonic clock.
    """
    dated = deliveries.annotate(now=Now()).order_by("pk")
    rows = list(dated.select_related("event", "endpoint"))
    sealed = defaultdict(list)
    endpoints = {row.endpoint_id for row in rows}
    for secret in Secret.objects.using(deliveries.db).live().filter(endpoint__in=endpoints):
        sealed[secret.endpoint_id].append(bytes(secret.sealed))
    claims = [_claim_of(row, leased, **_needs_of(row, sealed[row.endpoint_id])) for row in rows]
    if len(rows) < expected:
        orphaned = dated.exclude(pk__in=[row.pk for row in rows])
        claims += [_claim_of(row, leased, **ORPHANED) for row in orphaned]
    return claims


def _claim_of(delivery: Delivery, leased: float, **needs: Any) -> Claim:
    assert delivery.claim is not None
    return Claim(
        token=delivery.claim,
        delivery_id=delivery.pk,
        number=delivery.attempts_made,
        number_in_run=delivery.attempts_in_run,
        trigger=delivery.trigger,
        endpoint_id=delivery.endpoint_id,
        claimed_at=vars(delivery)["now"],
        lease=lease_seconds(),
        _leased=leased,
        **needs,
    )


def _needs_of(delivery: Delivery, sealed: Sequence[bytes]) -> dict[str, Any]:
    event, endpoint = delivery.event, delivery.endpoint
    return {
        "url": endpoint.url,
        "timeout": _timeout_of(endpoint),
        "sealed_secrets": tuple(sealed),
        "webhook_id": event.webhook_id,
        "content_type": event.content_type,
        "body": bytes(event.body),
        "policy": _policy_of(delivery),
    }


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
