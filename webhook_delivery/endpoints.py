"""Switches endpoints on, off or to paused, and says what that means for what they are owed."""

from __future__ import annotations

from django.db import transaction

from webhook_delivery import lifecycle, scheduling
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint


def switch_on(endpoint: int, *, using: str) -> list[int]:
    """Switch on, and release what was held; returns the ids of the deliveries released."""
    with transaction.atomic(using=using):
        _set(endpoint, Endpoint.State.ON, "", using)
        scheduling.ring_on_commit(using=using)
        return lifecycle.release(_owed(endpoint, using))


def pause(endpoint: int, *, using: str, reason: str = "") -> list[int]:
    """Pause: what is pending, and what happens meanwhile, is held until it is switched on."""
    return _stop(endpoint, Endpoint.State.PAUSED, reason, using)


def switch_off(endpoint: int, *, using: str, reason: str = "") -> list[int]:
    """Switch off: what is pending is held; what happens meanwhile is not delivered to it."""
    return _stop(endpoint, Endpoint.State.OFF, reason, using)


def hold_strays(*, using: str) -> list[int]:
    """Hold what became pending while its endpoint was being paused: nothing rests unseen."""
    not_on = Endpoint.objects.using(using).exclude(state=Endpoint.State.ON).values("pk")
    return lifecycle.hold(Delivery.objects.using(using).filter(endpoint__in=not_on))


def _stop(endpoint: int, state: Endpoint.State, reason: str, using: str) -> list[int]:
    with transaction.atomic(using=using):
        _set(endpoint, state, reason, using)
        return lifecycle.hold(_owed(endpoint, using))


def _set(endpoint: int, state: Endpoint.State, reason: str, using: str) -> None:
    Endpoint.objects.using(using).filter(pk=endpoint).update(state=state, state_reason=reason)


def _owed(endpoint: int, using: str) -> DeliveryQuerySet:
    return Delivery.objects.using(using).filter(endpoint=endpoint)
