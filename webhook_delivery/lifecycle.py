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

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from django.db import DataError, IntegrityError
from django.db.models import Case, F, Value, When

from webhook_delivery.claims import Claim, Finding, Settled, lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.loading import load
from webhook_delivery.locking import insist, pick
from webhook_delivery.models import (
    Attempt,
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    Event,
    Transition,
)
from webhook_delivery.outcomes import Verdict

logger = logging.getLogger(__name__)

State: TypeAlias = Delivery.State
Verb: TypeAlias = Transition.Verb

REDELIVERABLE = [State.DEAD, State.DELIVERED]

CHUNK = 500
"""How many rows one statement changes at most, so that no lock is held for long."""
RACES = 5
"""How often a claim tries again, when others took what it had picked."""


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
        picked, claims = insist(partial(_take, wanted, limit, lost), using=using)
        if claims or not picked:
            return claims
    return []


def settle(findings: Sequence[Finding], *, using: str) -> list[Settled]:
    """
    End the claims by recording what was found, in one transaction.

    Returns what was recorded; a finding whose claim was taken over meanwhile is not.
    """
    return _settle_apart([Settled(found, found.decide()) for found in findings], using=using)


def rescue(*, using: str) -> list[Settled]:
    """
    Take over claims whose lease has ended: the attempt counts, as `worker_lost`.

    The lease was wait enough, so what has attempts left is due at once.
    """
    stuck = Delivery.objects.using(using).stuck().order_by("due_at")
    ids = list(stuck.values_list("pk", flat=True)[:CHUNK])
    claims = load(stuck.filter(pk__in=ids), expected=len(ids), leased=0.0) if ids else []
    return _settle_apart([Settled.lost(claim) for claim in claims], using=using)


def redeliver(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Make dead and delivered deliveries due again, with a fresh budget of attempts.

    Returns the ids changed; what is owed to an endpoint that is not on stays as it is.
    """
    return _change(
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
    return _change(deliveries, was=[State.DEAD], logged=Verb.DISCARD, state=State.DISCARDED)


def restore(deliveries: DeliveryQuerySet) -> list[int]:
    """Bring discarded deliveries back among the dead letters. Returns the ids changed."""
    return _change(deliveries, was=[State.DISCARDED], logged=Verb.RESTORE, state=State.DEAD)


def hold(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Keep what is pending instead of sending it. Returns the ids changed.

    Not logged: that its endpoint is not on says the same of every delivery.
    """
    return _change(deliveries, was=[State.PENDING], logged=None, state=State.HELD)


def release(deliveries: DeliveryQuerySet) -> list[int]:
    """Make what was held due now. Returns the ids changed."""
    return _change(deliveries, was=[State.HELD], logged=Verb.RELEASE, due=True, state=State.PENDING)


def _take(wanted: DeliveryQuerySet, limit: int, lost: int) -> tuple[list[int], list[Claim]]:
    """Claim some of the wanted: which were picked, and which of them nobody else took."""
    token, asked = uuid.uuid4(), time.monotonic()
    picked = pick(wanted, limit, lost=lost)
    mine = Delivery.objects.using(wanted.db).sending().filter(pk__in=picked, claim=token)
    taken = picked and wanted.order_by().filter(pk__in=picked).update(
        state=State.SENDING,
        claim=token,
        due_at=Now() + timedelta(seconds=lease_seconds()),
        attempts_made=F("attempts_made") + 1,
    )
    return picked, load(mine, expected=taken, leased=asked) if taken else []


def _change(
    deliveries: DeliveryQuerySet,
    *,
    was: Sequence[State],
    logged: Verb | None,
    due: bool = False,
    **changes: Any,
) -> list[int]:
    """Change the rows whose state allows it, chunk by chunk, and return their ids."""
    rows = deliveries.filter(state__in=was).order_by("pk")
    allowed = Delivery.objects.using(deliveries.db).filter(state__in=was)
    changed: list[int] = []
    last = 0
    while ids := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]):
        chunk = allowed.filter(pk__in=ids)
        changed += insist(partial(_move, chunk, logged, due, changes), using=deliveries.db)
        last = ids[-1]
    return changed


def _move(
    rows: DeliveryQuerySet, logged: Verb | None, due: bool, changes: dict[str, Any]
) -> list[int]:
    """Change one chunk, and write it to the log with the very moment that the rows get."""
    columns = rows.values_list("pk", "attempts_made", Now())
    locked = list(columns.order_by("pk").select_for_update())
    if not locked:
        return []
    ids, moment = [pk for pk, *_ in locked], locked[0][2]
    rows.filter(pk__in=ids).update(due_at=moment if due else None, **changes)
    if logged:
        Transition.objects.using(rows.db).bulk_create(
            Transition(delivery_id=pk, after=made, verb=logged, at=moment) for pk, made, _ in locked
        )
    return ids


def _settle_apart(found: list[Settled], *, using: str) -> list[Settled]:
    """Settle all together; if the database refuses, one by one: it may be one row's fault."""
    try:
        return insist(partial(_settle, found, using), using=using)
    except (IntegrityError, DataError):
        if len(found) > 1:
            return [kept for each in found for kept in _settle_apart([each], using=using)]
        logger.exception("Delivery %s cannot be settled; verify it", found[0].delivery_id)
        return []


def _settle(found: list[Settled], using: str) -> list[Settled]:
    """Record what still belongs to its claim: the token that the row has now must be its own."""
    rows = Delivery.objects.using(using).sending().filter(pk__in={s.delivery_id for s in found})
    locked = rows.order_by("pk").select_for_update().values_list("pk", "claim", Now())
    held = {(pk, token): now for pk, token, now in locked}
    mine = [each for each in found if (each.delivery_id, each.finding.claim.token) in held]
    if mine:
        _record(mine, rows, now=min(held.values()), using=using)
    return mine


def _record(settled: list[Settled], rows: DeliveryQuerySet, *, now: datetime, using: str) -> None:
    """Write the attempts, and change the deliveries with one statement for each kind of outcome."""
    Attempt.objects.using(using).bulk_create([each.as_attempt(now) for each in settled])
    retried = {s.finding.claim.endpoint_id for s in settled if s.decision.verdict is Verdict.RETRY}
    on = set(Endpoint.objects.using(using).on().filter(pk__in=retried).values_list("pk", flat=True))
    groups: dict[tuple[Any, ...], list[Settled]] = {}
    for each in settled:
        groups.setdefault(_kind(each, on), []).append(each)
    for (state, status, reason), group in groups.items():
        tokens = {each.finding.claim.token for each in group}
        rows.filter(pk__in=[each.delivery_id for each in group], claim__in=tokens).update(
            state=state,
            claim=None,
            due_at=_due_at(group, now) if state == State.PENDING else None,
            ended_at=now if state in Delivery.TERMINAL else None,
            last_status=status,
            reason=reason,
        )


def _kind(settled: Settled, on: set[int]) -> tuple[State, int | None, str]:
    """What all of a group become; a retry is held whose endpoint was paused meanwhile."""
    claim, outcome = settled.finding.claim, settled.finding.outcome
    return settled.state(on=claim.endpoint_id in on), outcome.status, str(outcome.fault or "")


def _due_at(group: list[Settled], now: datetime) -> Case:
    return Case(*(When(pk=each.delivery_id, then=Value(each.due_at(now))) for each in group))
