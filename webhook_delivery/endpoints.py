"""Switches endpoints on, off or to paused, and says what that means for what they are owed."""

from __future__ import annotations

from webhook_delivery import doorbell, lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint

AT_ONCE = 5_000
"""How many strays one sweep moves at most: who sweeps may have requests in flight."""


def switch_on(endpoint: int, *, using: str) -> list[int]:
    """Switch on, and release what was held; returns the ids of the deliveries released."""
    _set(endpoint, Endpoint.State.ON, "", using)
    released = lifecycle.release(_owed(endpoint, using))
    doorbell.ring_on_commit(using=using)
    return released


def pause(endpoint: int, *, using: str, reason: str = "") -> list[int]:
    """Pause: what is pending, and what happens meanwhile, is held until it is switched on."""
    return _stop(endpoint, Endpoint.State.PAUSED, reason, using)


def switch_off(endpoint: int, *, using: str, reason: str = "") -> list[int]:
    """Switch off: what is pending is held; what happens meanwhile is not delivered to it."""
    return _stop(endpoint, Endpoint.State.OFF, reason, using)


def mark_off(endpoint: int, *, using: str, reason: str) -> None:
    """Switch off, and leave what it is owed to `hold_owed`, which may take longer."""
    _set(endpoint, Endpoint.State.OFF, reason, using)


def hold_owed(endpoint: int, *, using: str, most: int | None = None) -> list[int]:
    """Hold what is pending for an endpoint that is not on, about so many; sweeps do the rest."""
    return lifecycle.hold(_owed(endpoint, using), most=most)


def settle_strays(*, using: str) -> None:
    """Hold or release what was written while its endpoint was being switched."""
    on = Endpoint.objects.using(using).on().values("pk")
    deliveries = Delivery.objects.using(using)
    lifecycle.hold(deliveries.pending().exclude(endpoint__in=on), most=AT_ONCE)
    lifecycle.release(deliveries.held().filter(endpoint__in=on), most=AT_ONCE)


def _stop(endpoint: int, state: Endpoint.State, reason: str, using: str) -> list[int]:
    """The endpoint first, in a statement of its own: publishing must not wait for the rest."""
    _set(endpoint, state, reason, using)
    return hold_owed(endpoint, using=using)


def _set(endpoint: int, state: Endpoint.State, reason: str, using: str) -> None:
    rows = Endpoint.objects.using(using).filter(pk=endpoint)
    changes = {"state": state, "state_reason": reason[:200], "updated_at": Now()}
    insist(lambda: rows.update(**changes), using=using)


def _owed(endpoint: int, using: str) -> DeliveryQuerySet:
    return Delivery.objects.using(using).filter(endpoint=endpoint)
