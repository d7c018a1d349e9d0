"""Lets time pass for a test: what happened becomes older, and what is due later comes nearer."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from webhook_delivery.clock import Now, seconds_until_first
from webhook_delivery.models import (
    Acknowledgement,
    Attempt,
    ConsoleAction,
    Delivery,
    Endpoint,
    Event,
    KeptAnswer,
    Lane,
    Notice,
    RedeliveryBatch,
    Secret,
    Transition,
)
from webhook_delivery.models.lane import pace_is_believed, pause_is_believed

MOMENTS = {
    Event: ["created_at", "deliver_at", "expires_at", "pruned_at", "erased_at"],
    Delivery: ["created_at", "due_at", "ended_at"],
    Attempt: ["started_at", "next_due_at"],
    Transition: ["at"],
    Lane: ["blocked_until", "paced_until", "failing_since", "failed_at", "warned_at"],
    RedeliveryBatch: ["created_at", "due_at", "ended_at"],
    Endpoint: ["created_at", "updated_at", "resume_at"],
    Secret: ["created_at", "valid_until"],
    Acknowledgement: ["at", "until"],
    Notice: ["created_at", "due_at", "sent_at"],
    ConsoleAction: ["created_at"],
    KeptAnswer: ["created_at"],
}
"""All of them move together, so that rows and their log still say the same. The hours of endpoints
stay where they are, and so does what workers say of themselves: nobody worked meanwhile."""
MOMENT = timedelta(seconds=0.01)
"""So that what is due then, by clocks of any precision, is past."""


def let_time_pass(by: timedelta, *, using: str) -> None:
    """Move every moment into the past by so much."""
    for model, names in MOMENTS.items():
        changes = {name: F(name) - by for name in names}
        model._base_manager.using(using).update(**changes)


def until_the_next(*, using: str) -> timedelta | None:
    """How long it is until something can happen that cannot happen now; None if nothing will."""
    waiting = (
        (Delivery.objects.using(using).waiting(), "due_at"),
        (Delivery.objects.using(using).sending(), "due_at"),
        (Lane.objects.using(using).filter(pause_is_believed()), "blocked_until"),
        (Lane.objects.using(using).filter(pace_is_believed()), "paced_until"),
        (RedeliveryBatch.objects.using(using).running(), "due_at"),
    )
    moments = (
        seconds_until_first(rows.filter(**{f"{name}__gt": Now()}), name) for rows, name in waiting
    )
    soonest = min((moment for moment in moments if moment is not None), default=None)
    return None if soonest is None else timedelta(seconds=max(0.0, soonest)) + MOMENT
