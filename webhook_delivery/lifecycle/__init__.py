"""
Every change of a delivery's state, and nothing else.

     publish ─▶ PENDING ──claim──▶ SENDING ──settle──▶ DELIVERED
                  ▲  ▲                │ ──settle──▶ DEAD ──discard──▶ DISCARDED
                  │  └─settle(retry)──┤ rescue         │ ◀──restore─────┘
                  └────────redeliver──┴────────────────┘
     HELD ◀── endpoint paused or off: hold ──▶ release to PENDING

A person may also bring the next attempt of a PENDING one forward (`retry_now`).

A claim is a lease (until `due_at`, by the database's clock) and a random token; only who still
holds the token may settle. Attempts are counted when they are claimed, so that a delivery which
kills its workers still runs out of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db.models import Case, F, Value, When

from webhook_delivery.claims import Claim, Finding, Settled
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle import lanes, sequences
from webhook_delivery.lifecycle.changing import CHUNK, change
from webhook_delivery.lifecycle.claiming import NOTHING, RACES, Room, take
from webhook_delivery.lifecycle.ending import end_erased
from webhook_delivery.lifecycle.looking import Look
from webhook_delivery.lifecycle.owing import Owed, name_types, owe
from webhook_delivery.lifecycle.sequences import sequence_of
from webhook_delivery.lifecycle.settling import settle_apart
from webhook_delivery.loading import load, rows_of
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Transition

__all__ = [
    "Owed",
    "claim",
    "discard",
    "end_erased",
    "give_back",
    "hold",
    "mend",
    "move_up",
    "name_types",
    "owe",
    "redeliver",
    "release",
    "rescue",
    "restore",
    "retry_now",
    "sequence_of",
    "settle",
]

State = Delivery.State
Verb = Transition.Verb

PLENTY = 1_000_000


def claim(
    limit: int,
    *,
    using: str,
    room: Room = lambda endpoint: PLENTY,
    look: Look | None = None,
) -> list[Claim]:
    """
    Take at most `limit` due deliveries, fairly among endpoints, for as long as a lease lasts.

    room: how many of an endpoint's the worker would take; the endpoint's own limits apply besides.
    look: where the worker's look at the endpoints goes on; a new one begins at the first.
    """
    look = look or Look(using)
    for lost in range(RACES):
        seen = look.due(limit)
        work = partial(take, look, seen, limit, room, using=using, lost=lost)
        taken = insist(work, using=using) if seen else NOTHING
        look.led_to(taken.claims, parked=taken.parked)
        if taken.claims or not (taken.again or taken.parked):
            return taken.claims
    return []


def settle(findings: Sequence[Finding], *, using: str) -> list[Settled]:
    """
    End the claims by recording what was found, in one transaction.

    Returns what was recorded; a finding whose claim was taken over meanwhile is not.
    """
    return settle_apart([Settled(found, found.decide()) for found in findings], using=using)


def give_back(claims: Sequence[Claim], *, using: str) -> int:
    """
    End claims whose attempts were never begun: they are due as before, and were not attempted.

    Returns how many still belonged to their claims.
    """
    if not claims:
        return 0
    tokens = {claim.token for claim in claims}
    due = Case(*(When(pk=claim.delivery_id, then=Value(claim.due_at)) for claim in claims))
    mine = (
        Delivery.objects.using(using)
        .sending()
        .filter(pk__in=[claim.delivery_id for claim in claims], claim__in=tokens)
    )
    made = F("attempts_made") - 1
    ordered = [claim for claim in claims if claim.in_order]
    changes = {"state": State.PENDING, "claim": None, "due_at": due, "attempts_made": made}

    def end() -> int:
        given = mine.update(**changes)
        lanes.lock({each.endpoint_id for each in ordered}, using=using, wait=True)
        sequences.move_up(ordered, using=using)
        return given

    return insist(end, using=using)


def rescue(*, using: str) -> list[Settled]:
    """
    Take over claims whose lease has ended: the attempt counts, as `worker_lost`.

    The lease was wait enough, so what has attempts left is due at once.
    """
    stuck = Delivery.objects.using(using).stuck()
    oldest = list(stuck.order_by("due_at").values_list("pk", flat=True)[:CHUNK])
    rows = rows_of(stuck.filter(pk__in=oldest).order_by("pk")) if oldest else []
    unheld = stuck.filter(pk__in=oldest, claim=None)
    if not all(row.claim for row in rows):
        insist(lambda: unheld.update(claim=uuid.uuid4()), using=using)
        rows = rows_of(stuck.filter(pk__in=oldest).order_by("pk"))
    endpoints = Endpoint.objects.using(using).in_bulk({row.endpoint_id for row in rows})
    claims = load(rows, endpoints, leased=0.0, using=using) if rows else []
    return settle_apart([Settled.lost(claim) for claim in claims], using=using)


def redeliver(
    deliveries: DeliveryQuerySet, *, batch: int | None = None, once: bool = False
) -> list[int]:
    """
    Make dead and delivered deliveries due again, with a fresh budget of attempts.

    batch: the number of the redelivery of many that they belong to.
    once: they have one attempt, and are dead again if it fails.
    Returns the ids changed; what is owed to an endpoint that is not on stays as it is, and so does
    what belongs to an event that has lost its body.
    """
    return change(
        deliveries.filter(endpoint__state=Endpoint.State.ON),
        was=Delivery.REDELIVERABLE,
        logged=Verb.ONCE if once else Verb.REDELIVER,
        batch=batch,
        due=True,
        whole=True,
        state=State.PENDING,
        trigger=Delivery.Trigger.ONCE if once else Delivery.Trigger.REDELIVERY,
        attempts_forgiven=F("attempts_made"),
        ended_at=None,
    )


def discard(deliveries: DeliveryQuerySet) -> list[int]:
    """Hide dead letters; `restore` brings them back. Returns the ids changed."""
    return change(deliveries, was=[State.DEAD], logged=Verb.DISCARD, state=State.DISCARDED)


def restore(deliveries: DeliveryQuerySet) -> list[int]:
    """Bring discarded deliveries back among the dead letters. Returns the ids changed."""
    return change(deliveries, was=[State.DISCARDED], logged=Verb.RESTORE, state=State.DEAD)


def hold(deliveries: DeliveryQuerySet, *, most: int | None = None) -> list[int]:
    """
    Keep what is pending instead of sending it, or about so many of it. Returns the ids changed.

    Not logged: that its endpoint is not on says the same of every delivery.
    """
    return change(deliveries, was=[State.PENDING], logged=None, most=most, state=State.HELD)


def release(deliveries: DeliveryQuerySet, *, most: int | None = None) -> list[int]:
    """
    Make what was held due now, or about so many of it. Returns the ids changed.

    What was published for later, and never attempted, is due then.
    """
    return change(
        deliveries,
        was=[State.HELD],
        logged=Verb.RELEASE,
        due=True,
        most=most,
        state=State.PENDING,
    )


def retry_now(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Bring the next automatic attempt of what waits for it forward. Returns the ids changed.

    It spends no attempt more; the endpoint's own limits and its breaker hold as before.
    """
    later = deliveries.filter(endpoint__state=Endpoint.State.ON, due_at__gt=Now())
    return change(later, was=[State.PENDING], logged=Verb.RETRY_NOW, due=True, state=State.PENDING)


def move_up(*, using: str) -> int:
    """Make due who waits in a sequence behind nobody: for the sweep. Returns how many."""
    return sequences.mend(using=using)


def mend(delivery: int, *, using: str, **columns: Any) -> None:
    """Make a row say what its log says: for `verification`, which read the log under a lock."""
    Delivery.objects.using(using).filter(pk=delivery).update(**columns)
