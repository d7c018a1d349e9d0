"""Sends an event to one more endpoint: makes a delivery that was never made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, router
from django.utils.translation import gettext as _

from webhook_delivery import doorbell, lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.erasing import why_hollow
from webhook_delivery.lifecycle import Owed, sequence_of
from webhook_delivery.locking import insist
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The delivery that was made, or what stood in its way, in words for the operator."""

    delivery: Delivery | None
    obstacle: str = ""


def forward(
    event: Event, endpoint: int, *, by: Any = None, reason: str = "", using: str | None = None
) -> Forwarded:
    """
    Owe an event to an endpoint that it was never owed to, whatever that is subscribed to.

    endpoint: its number. It must be of the event's tenant, and not off; one that is paused is owed
        it until it is on. Until when the event waits, and when it expires, holds here too.
    by: the user who asks (or a name); reason: why. Both are kept.
    using: the database; default: where the router writes deliveries.
    """
    using = using or router.db_for_write(Delivery)
    to = Endpoint.objects.using(using).annotate(now=Now()).filter(pk=endpoint).first()
    if said := _obstacle(event, to, using):
        return Forwarded(None, said)
    assert to is not None
    try:
        made = insist(lambda: _make(event, to, by, reason, using), using=using)
    except IntegrityError:  # by somebody else, just now
        return Forwarded(None, _already(to))
    return Forwarded(made)


def obstacle(event: Event, endpoint: int, *, using: str | None = None) -> str:
    """Say why an event could not be forwarded to this endpoint now; empty if it could."""
    using = using or router.db_for_write(Delivery)
    return _obstacle(event, Endpoint.objects.using(using).filter(pk=endpoint).first(), using)


def _obstacle(event: Event, to: Endpoint | None, using: str) -> str:
    if to is None or to.tenant != event.tenant:
        return _("There is no such endpoint of this event's tenant.")
    if to.state == Endpoint.State.OFF:
        return _("%(endpoint)s is off; switch it on to send to it.") % {"endpoint": to}
    if event.hollow:
        return why_hollow(event)
    owed = Delivery.objects.using(using).filter(event=event.pk, endpoint=to.pk)
    return _already(to) if owed.exists() else ""


def _already(to: Endpoint) -> str:
    said = _("It is owed to %(endpoint)s already; redeliver that delivery instead.")
    return said % {"endpoint": to}


def _make(event: Event, to: Endpoint, by: Any, reason: str, using: str) -> Delivery:
    sequence, now = sequence_of(to.ordered, event.key), vars(to)["now"]
    owed = Owed(
        event=event.pk,
        event_type=event.event_type,
        endpoint=to.pk,
        state=to.state,
        moment=now,
        sequence=sequence,
        format=to.format,
        not_before=event.deliver_at,
    )
    if lifecycle.owe([owed], using=using):
        doorbell.ring_on_commit(using=using)
    rows = Delivery.objects.using(using).select_related("endpoint")
    made = rows.get(event=event.pk, endpoint=to.pk)
    about = f"{event.webhook_id} → {to.pk} ({to})"
    ConsoleAction.record("forward", [made.pk], by=by, reason=reason, about=about, using=using)
    return made
