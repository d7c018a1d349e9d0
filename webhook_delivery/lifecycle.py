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

import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.db import connections, transaction
from django.db.models import Case, F, Value, When

from webhook_delivery.claims import Claim, Finding, Settled, lease_seconds, load
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet, Endpoint, Event
from webhook_delivery.outcomes import Decision, Fault, Outcome, Verdict

State: TypeAlias = Delivery.State

REDELIVERABLE = [State.DEAD, State.DELIVERED]

CHUNK = 500
"""How many rows one statement changes at most, so that no lock is held for long."""


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
    Delivery.objects.using(using).bulk_create(
        [
            Delivery(
                event=event,
                endpoint=endpoint,
                state=state,
                due_at=due,
                trigger=trigger,
                created_at=Now(),
            )
            for endpoint, state, due in owed
        ],
        batch_size=CHUNK,
    )


def claim(limit: int, *, using: str, event: Event | None = None) -> list[Claim]:
    """
    Take at most `limit` due deliveries, the longest due first, for as long as a lease lasts.

    With `event`, take only that event's.
    """
    token, began = uuid.uuid4(), time.monotonic()
    due = Delivery.objects.using(using).due()
    wanted = due.filter(event=event) if event else due
    with transaction.atomic(using=using):
        ids = _locked(wanted.order_by("due_at")[:limit], skip=True)
        if not ids:
            return []
        due.filter(pk__in=ids).update(
            state=State.SENDING,
            claim=token,
            due_at=Now() + timedelta(seconds=lease_seconds()),
            attempts_made=F("attempts_made") + 1,
        )
        mine = Delivery.objects.using(using).sending().filter(pk__in=ids, claim=token)
        return load(mine, leased=began)


def settle(findings: Sequence[Finding], *, using: str) -> list[Settled]:
    """
    End the claims by recording what was found, in one transaction.

    Returns what was recorded; a finding whose claim was taken over meanwhile is not.
    """
    return _settle([Settled(finding, finding.decide()) for finding in findings], using=using)


def rescue(*, using: str) -> list[Settled]:
    """
    Take over claims whose lease has ended: the attempt counts, as `worker_lost`.

    The lease was wait enough, so what has attempts left is due at once.
    """
    stuck = Delivery.objects.using(using).stuck().order_by("due_at")
    ids = list(stuck.values_list("pk", flat=True)[:CHUNK])
    lost = load(stuck.filter(pk__in=ids), leased=0.0) if ids else []
    return _settle([_lost(claim) for claim in lost], using=using)


def redeliver(deliveries: DeliveryQuerySet) -> list[int]:
    """
    Make dead and delivered deliveries due again, with a fresh budget of attempts.

    Returns the ids changed; what is owed to an endpoint that is not on stays as it is.
    """
    return _change(
        deliveries.filter(endpoint__state=Endpoint.State.ON),
        was=REDELIVERABLE,
        state=State.PENDING,
        due_at=Now(),
        trigger=Delivery.Trigger.REDELIVERY,
        attempts_forgiven=F("attempts_made"),
        ended_at=None,
    )


def discard(deliveries: DeliveryQuerySet) -> list[int]:
    """Hide dead letters; `restore` brings them back. Returns the ids changed."""
    return _change(deliveries, was=[State.DEAD], state=State.DISCARDED)


def restore(deliveries: DeliveryQuerySet) -> list[int]:
    """Bring discarded deliveries back among the dead letters. Returns the ids changed."""
    return _change(deliveries, was=[State.DISCARDED], state=State.DEAD)


def hold(deliveries: DeliveryQuerySet) -> list[int]:
    """Keep what is pending instead of sending it. Returns the ids changed."""
    return _change(deliveries, was=[State.PENDING], state=State.HELD, due_at=None)


def release(deliveries: DeliveryQuerySet) -> list[int]:
    """Make what was held due now. Returns the ids changed."""
    return _change(deliveries, was=[State.HELD], state=State.PENDING, due_at=Now())


def _change(deliveries: DeliveryQuerySet, *, was: Sequence[State], **changes: Any) -> list[int]:
    """Change the rows whose state allows it, chunk by chunk, and return their ids."""
    rows = deliveries.filter(state__in=was).order_by("pk")
    allowed = Delivery.objects.using(deliveries.db).filter(state__in=was)
    changed: list[int] = []
    last = 0
    while ids := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic(using=deliveries.db):
            free = _locked(allowed.filter(pk__in=ids))
            allowed.filter(pk__in=free).update(**changes)
        changed += free
        last = ids[-1]
    return changed


def _locked(rows: DeliveryQuerySet, *, skip: bool = False) -> list[int]:
    """Lock the rows, where the database can, and return their ids; `skip` what others locked."""
    can_skip = connections[rows.db].features.has_select_for_update_skip_locked
    return list(rows.select_for_update(skip_locked=skip and can_skip).values_list("pk", flat=True))


def _lost(claim: Claim) -> Settled:
    finding = Finding(claim, Outcome(fault=Fault.WORKER_LOST), started_at=claim.claimed_at)
    decision = finding.decide()
    at_once = None if decision.delay is None else 0.0
    return Settled(finding, Decision(decision.verdict, at_once))


def _settle(found: list[Settled], *, using: str) -> list[Settled]:
    """Record what still belongs to its claim: the token is compared in the database."""
    tokens = {each.delivery_id: each.finding.claim.token for each in found}
    mine = Delivery.objects.using(using).sending().filter(claim__in=set(tokens.values()))
    with transaction.atomic(using=using):
        held = dict(mine.filter(pk__in=tokens).select_for_update().values_list("pk", Now()))
        kept = [each for each in found if each.delivery_id in held]
        if kept:
            _record(kept, mine, now=min(held.values()), using=using)
    return kept


def _record(settled: list[Settled], mine: DeliveryQuerySet, *, now: datetime, using: str) -> None:
    """Write the attempts, and change the deliveries with one statement for each kind of outcome."""
    Attempt.objects.using(using).bulk_create([_attempt(each, now) for each in settled])
    off = _endpoints_not_on(settled, using=using)
    groups: dict[tuple[Any, ...], list[Settled]] = {}
    for each in settled:
        groups.setdefault(_kind(each, off), []).append(each)
    for (state, status, reason), group in groups.items():
        mine.filter(pk__in=[each.delivery_id for each in group]).update(
            state=state,
            claim=None,
            due_at=_due_at(group, now) if state == State.PENDING else None,
            ended_at=now if state in Delivery.TERMINAL else None,
            last_status=status,
            reason=reason,
        )


def _attempt(settled: Settled, now: datetime) -> Attempt:
    finding, claim, outcome = settled.finding, settled.finding.claim, settled.finding.outcome
    return Attempt(
        delivery_id=claim.delivery_id,
        number=claim.number,
        trigger=claim.trigger,
        started_at=finding.started_at,
        duration_ms=None if finding.duration is None else round(finding.duration * 1000),
        status=outcome.status,
        fault=outcome.fault or "",
        detail=outcome.detail[:200],
        excerpt=outcome.excerpt,
        verdict=settled.decision.verdict,
        next_due_at=settled.due_at(now),
    )


def _endpoints_not_on(settled: list[Settled], *, using: str) -> set[int]:
    """Whose retries are to be held, because someone paused the endpoint during the attempt."""
    retried = {s.finding.claim.endpoint_id for s in settled if s.decision.verdict is Verdict.RETRY}
    endpoints = Endpoint.objects.using(using).filter(pk__in=retried).exclude(state="on")
    return set(endpoints.values_list("pk", flat=True)) if retried else set()


def _kind(settled: Settled, off: set[int]) -> tuple[State, int | None, str]:
    outcome = settled.finding.outcome
    return _state_after(settled, off), outcome.status, str(outcome.fault or "")


def _state_after(settled: Settled, off: set[int]) -> State:
    match settled.decision.verdict:
        case Verdict.DELIVERED:
            return State.DELIVERED
        case Verdict.DEAD:
            return State.DEAD
        case Verdict.RETRY:
            return State.HELD if settled.finding.claim.endpoint_id in off else State.PENDING


def _due_at(group: list[Settled], now: datetime) -> Case:
    return Case(*(When(pk=each.delivery_id, then=Value(each.due_at(now))) for each in group))
