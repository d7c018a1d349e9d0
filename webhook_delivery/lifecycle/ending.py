"""Ends what is owed of an event that has lost its body: nothing can be sent of it any more."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from django.db.models import F

from webhook_delivery.claims import Claim, Finding, Settled, lease_seconds
from webhook_delivery.clock import Now, elapsed
from webhook_delivery.lifecycle.changing import CHUNK
from webhook_delivery.lifecycle.settling import settle_apart
from webhook_delivery.loading import load, rows_of
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.outcomes import Fault, Outcome

State = Delivery.State
SAID = "Its event's body was erased, so nothing was sent."


def end_erased(event: Event, *, using: str) -> list[int]:
    """
    Make what waits or is held of this event dead, as `erased`; returns the ids.

    It is claimed and settled like what a worker attempts, so that its log says so, and who stands
    behind it moves up. What is being sent is its worker's: that ends it, at its next attempt if
    not at this one.
    """
    waiting = Delivery.objects.using(using).filter(event=event.pk)
    waiting = waiting.filter(state__in=[State.PENDING, State.HELD]).order_by("pk")
    ended: list[int] = []
    while ids := list(waiting.values_list("pk", flat=True)[:CHUNK]):
        settled = insist(partial(_end, ids, using), using=using)
        ended += [each.delivery_id for each in settled]
    return ended


def _end(ids: Sequence[int], using: str) -> list[Settled]:
    return settle_apart([_erased(claim) for claim in _claim(ids, using)], using=using)


def _claim(ids: Sequence[int], using: str) -> list[Claim]:
    rows, token, asked = Delivery.objects.using(using), uuid.uuid4(), elapsed()
    rows.filter(pk__in=ids, state__in=[State.PENDING, State.HELD]).update(
        state=State.SENDING,
        claim=token,
        due_at=Now() + timedelta(seconds=lease_seconds()),
        attempts_made=F("attempts_made") + 1,
    )
    mine = rows_of(rows.filter(pk__in=ids, claim=token).order_by("pk"))
    endpoints = Endpoint.objects.using(using).in_bulk({row.endpoint_id for row in mine})
    return load(mine, endpoints, leased=asked, using=using) if mine else []


def _erased(claim: Claim) -> Settled:
    outcome = Outcome(fault=Fault.ERASED, detail=SAID)
    finding = Finding(claim, outcome, started_at=claim.claimed_at)
    return Settled(finding, finding.decide())
