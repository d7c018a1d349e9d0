"""Says how deliveries are retried: by their endpoint's schedule, their event type's, or ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.core.exceptions import ValidationError

from webhook_delivery.conf import settings
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Policy, schedule_for
from webhook_delivery.validation import validate_schedule

logger = log_of(__name__)


def policy_of(endpoint: Endpoint, event_type: str, trigger: str) -> Policy:
    """
    Say how a delivery is retried that was made by this trigger (a value of `Delivery.Trigger`).

    A person waits for the outcome of a test: it is made once, and not deferred either.
    """
    policy = _usual(endpoint, event_type)
    if trigger not in (Delivery.Trigger.TEST, Delivery.Trigger.ONCE):
        return policy
    return replace(policy, schedule=(), deferring=trigger == Delivery.Trigger.ONCE)


def _usual(endpoint: Endpoint, event_type: str) -> Policy:
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
        said = "Endpoint %s has no valid retry schedule; using the default"
        logger.error(said, endpoint.pk, extra={"endpoint": endpoint.pk})
        return None
    return schedule
