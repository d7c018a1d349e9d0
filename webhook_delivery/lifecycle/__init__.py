"""
Every change of a delivery's state, and nothing else.

     publish ─▶ PENDING ──claim──▶ SENDING ──settle──▶ DELIVERED
                  ▲  ▲                │ ──settle──▶ DEAD ──discard──▶ DISCARDED
                  │  └─settle(retry)──┤ rescue         │ ◀──restore─────┘
                  └────────redeliver──┴────────────────┘
     HELD ◀── endpoint paused or off: hold ──▶ release to PENDING

A claim is a lease (until `due_at`, by the database's clock) and a random token; only who still
holds the token may settle. Attempts are counted when they are claimed, so that a delivery which
kills its workers still runs out of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.db.models import F

from webhook_delivery.claims import Claim, Finding, Settled
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle.changing import CHUNK, change
from webhook_delivery.lifecycle.claiming import RACES, take
from webhook_delivery.lifecycle.settling import settle_apart
from webhook_delivery.loading import load
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Event, Transition

State = Delivery.State
Verb = Transition.Verb

REDELIVERABLE = [State.DEAD, State.DELIVERED]


def owe(
    event: Event,
    endpoints: Iterable[Endpoint],
    *,
    using: str,
    trigger: str = Delivery.Trigger.SCHEDULE,
) -> None:
    """Write one delivery of the event for each endpoint: due now if it is on, held if paused."""
    on, paused = Endpoint.State.ON.value, Endpoint.State.PAUSED.value
    born = {on: (State.PENDING, Now()), paused: (State.HELD, None)}
    owed = [(endpoint, *born[endpoint.state]) for endpoint in endpoints if endpoint.state in born]
    facts: dict[str, Any] = {"event": event, "trigger": trigger, "created_at": Now()}
    rows = [Delivery(endpoint=to, state=state, due_at=due, **facts) for to, state, due in owed]
    Delivery.objects.using(using).bulk_create(rows, batch_size=CHUNK)


def claim(limit: int, *, using: str, event: Event | None = None) -> list[Claim]:
    """
    Take at most `limit` due deliveries, the longest due first, for as long as a lease lasts.

    With `event`, take only that event's.
    """
    due = Delivery.objects.using(using).due()
    wanted = (due.filter(event=event) if event else due).order_by("due_at")
    for lost in range(RACES):
        picked, claims = insist(partial(take, wanted, limit, lost), using=using)
        if claims or not picked:
            return claims
    return []


def settle(findings: Sequence[Finding], *, using: str) -> list[Settled]:
    """
    End the claims by recording what was found, in one transaction.

    Returns what was recorded; a finding whose claim was taken over meanwhile is not.
    """
    return settle_apart([Settled(found, found.decide()) for found in findings], using=using)


def rescue(*, using: str) -> list[Settled]:
    """
    Take over claims whose lease has ended: the attempt counts, as `worker_lost`.

    The lease was wait enough, so what has attempts left is due at once.
    """
    stuck = Delivery.objects.using(using).stuck().order_by("due_at")
    tokens = dict(stuck.values_list("pk", "claim")[:CHUNK])
    rows = stuck.filter(pk__in=tokens)
    if None in tokens.values():
        insist(lambda: rows.filter(claim=None).update(claim=uuid.uuid4()), using=using)
    claims = load(rows, expected=len(tokens), leased=0.0) if tokens else []
    return settle_apart([Settled.lost(claim) for claim in claims], using=using)


def redeliver(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Make dead and delivered deliveries due again, with a fresh budget of attempts.

    Returns the ids changed; what is owed to an endpoint that is not on stays as it is.
    """
    return change(
        deliveries.filter(endpoint__state=Endpoint.State.ON),
        was=REDELIVERABLE,
        logged=Verb.REDELIVER,
        due=True,
        state=State.PENDING,
        trigger=Delivery.Trigger.REDELIVERY,
        attempts_forgiven=F("attempts_made"),
        ended_at=None,
    )


def discard(deliveries: DeliveryQuerySet) -> list[int]:
    """Hide dead letters; `restore` brings them back. Returns the ids changed."""
    return change(deliveries, was=[State.DEAD], logged=Verb.DISCARD, state=State.DISCARDED)


def restore(deliveries: DeliveryQuerySet) -> list[int]:
    """Bring discarded deliveries back among the dead letters. Returns the ids changed."""
    return change(deliveries, was=[State.DISCARDED], logged=Verb.RESTORE, state=State.DEAD)


def hold(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Keep what is pending instead of sending it. Returns the ids changed.

    Not logged: that its endpoint is not on says the same of every delivery.
    """
    return change(deliveries, was=[State.PENDING], logged=None, state=State.HELD)


def release(deliveries: DeliveryQuerySet) -> list[int]:
    """Make what was held due now. Returns the ids changed."""
    return change(deliveries, was=[State.HELD], logged=Verb.RELEASE, due=True, state=State.PENDING)


def mend(delivery: int, *, using: str, **columns: Any) -> None:
    """Make a row say what its log says: for `verification`, which read the log under a lock."""
    Delivery.objects.using(using).filter(pk=delivery).update(**columns)
