"""Records what attempts found: the writing half of a settle, fenced by the claim's token."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DataError, IntegrityError
from django.db.models import Case, F, Value, When

from webhook_delivery import notifying, observing
from webhook_delivery.claims import Claim, Settled, lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle import lanes, sequences
from webhook_delivery.locking import insist
from webhook_delivery.logs import log_of
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.outcomes import Verdict

logger = log_of(__name__)


def settle_apart(found: list[Settled], *, using: str) -> list[Settled]:
    """Settle all together; if the database refuses, one by one: it may be one row's fault."""
    try:
        return insist(partial(_settle, found, using), using=using)
    except (IntegrityError, DataError):
        if len(found) > 1:
            return [kept for each in found for kept in settle_apart([each], using=using)]
        about = found[0].finding.claim.about()
        said = "Delivery %s cannot be settled; verify it"
        logger.exception(said, found[0].delivery_id, extra=about)
        _put_off(found[0].finding.claim, using)
        return []


def _put_off(claim: Claim, using: str) -> None:
    """What cannot be settled is tried again a lease later, behind all that can be."""
    mine = Delivery.objects.using(using).sending().filter(pk=claim.delivery_id, claim=claim.token)
    mine.update(due_at=Now() + timedelta(seconds=lease_seconds()))


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
    attempts = [each.as_attempt(now) for each in settled]
    _leave_out_erased(attempts, rows)
    Attempt.objects.using(using).bulk_create(attempts)
    _change(settled, rows, now=now, using=using)
    lanes.hear(settled, now=now, using=using)
    sequences.move_up([each.finding.claim for each in settled], using=using)
    _tell(settled, using)


def _leave_out_erased(attempts: list[Attempt], rows: DeliveryQuerySet) -> None:
    """
    Keep no answer to what was erased while it was being sent: it may repeat it.

    Asked after the lock, by a statement of its own: one that waited would see what was before.
    """
    answered = [each.delivery_id for each in attempts if each.excerpt]
    erased = rows.filter(pk__in=answered).exclude(event__erased_at=None)
    gone = set(erased.values_list("pk", flat=True)) if answered else set()
    for each in attempts:
        if each.delivery_id in gone:
            each.excerpt = b""


def _tell(settled: list[Settled], using: str) -> None:
    """Whoever watches, of every attempt; whoever listens, of what has ended."""
    observing.settled(settled, using=using)
    delivered = [each for each in settled if each.decision.verdict is Verdict.DELIVERED]
    dead = [each for each in settled if each.decision.verdict is Verdict.DEAD]
    notifying.of_delivered({each.delivery_id: {} for each in delivered}, using=using)
    notifying.of_dead({each.delivery_id: {"reason": _reason(each)} for each in dead}, using=using)


def _change(settled: list[Settled], rows: DeliveryQuerySet, *, now: datetime, using: str) -> None:
    retried = {s.finding.claim.endpoint_id for s in settled if s.decision.delay is not None}
    asked = Endpoint.objects.using(using).on().filter(pk__in=retried)
    on = set(asked.values_list("pk", flat=True)) if retried else set()
    groups: dict[tuple[Any, ...], list[Settled]] = {}
    for each in settled:
        groups.setdefault(_kind(each, on), []).append(each)
    for (state, status, reason, deferred), group in groups.items():
        tokens = {each.finding.claim.token for each in group}
        rows.filter(pk__in=[each.delivery_id for each in group], claim__in=tokens).update(
            state=state,
            claim=None,
            due_at=_due_at(group, now) if state == Delivery.State.PENDING else None,
            ended_at=now if state in Delivery.TERMINAL else None,
            last_status=status,
            reason=reason,
            **({"attempts_forgiven": F("attempts_forgiven") + 1} if deferred else {}),
        )


def _kind(settled: Settled, on: set[int]) -> tuple[Delivery.State, int | None, str, bool]:
    """What all of a group become; a retry is held whose endpoint was paused meanwhile."""
    claim, outcome = settled.finding.claim, settled.finding.outcome
    state = settled.state(on=claim.endpoint_id in on)
    deferred = settled.decision.verdict is Verdict.DEFERRED
    return state, outcome.status, _reason(settled), deferred


def _reason(settled: Settled) -> str:
    return str(settled.finding.outcome.fault or "")


def _due_at(group: list[Settled], now: datetime) -> Case:
    return Case(*(When(pk=each.delivery_id, then=Value(each.due_at(now))) for each in group))
