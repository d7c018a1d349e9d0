"""How redeliveries of many are told: their facts, that one has begun, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webhook_delivery import batches, missing, pulse, selecting
from webhook_delivery.counting import Number
from webhook_delivery.management.interrupts import interrupts
from webhook_delivery.management.progress import Progress
from webhook_delivery.management.tables import facts
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Delivery, RedeliveryBatch

PAUSE_SECONDS = 1.0
State = RedeliveryBatch.State


def facts_of(batch: RedeliveryBatch) -> dict[str, Any]:
    """How far it is, and how it was asked for."""
    return facts_of_each([batch])[0]


def facts_of_each(found: Sequence[RedeliveryBatch]) -> list[dict[str, Any]]:
    """The same of many; how those fared that they sent is counted for all together."""
    fared = batches.progress_of(found)
    return [_facts(batch, fared[batch.pk]) for batch in found]


def _facts(batch: RedeliveryBatch, fared: batches.Progress) -> dict[str, Any]:
    return {
        "id": batch.pk,
        "kind": batch.kind,
        "state": batch.state,
        "state_reason": batch.state_reason,
        "of": batch.whole,
        "sent": batch.sent,
        "left": batch.left,
        "delivered": fared.delivered,
        "failed": fared.failed,
        "waiting": fared.waiting,
        "gone": fared.gone,
        "selection": batch.selection,
        "rate_per_second": batch.rate_per_second,
        "canary": batch.canary,
        "stop_above": batch.stop_above,
        "once": batch.once,
        "by": batch.by_name,
        "reason": batch.reason,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def begun(verb: Verb, batch: RedeliveryBatch, *, follow: bool) -> None:
    """Say that it has begun; or stay with it, and say what came of it."""
    if warning := _silence(verb.database):
        verb.err.write(warning)
    if follow:
        watch(verb, batch.pk)
        return
    pace = f", at most {batch.rate_per_second:g} a second" if batch.rate_per_second else ""
    said = (
        f"Redelivery {batch.pk} has begun: {_expected(batch)} deliveries{pace}. "
        f"See `webhooks redelivery follow {batch.pk}`."
    )
    verb.say({"redelivery": facts_of(batch), "dry_run": False, "message": said}, said)


def _expected(batch: RedeliveryBatch) -> Number:
    """Which may have been counted so far and no farther."""
    cap = missing.COUNTED if batch.kind == RedeliveryBatch.Kind.MISSED else selecting.COUNTED
    return Number(batch.expected, batch.expected >= cap)


def watch(verb: Verb, number: int) -> None:
    """
    Show how far it is until it has ended, or stopped, or the user has seen enough; then tell it.

    Of one attempt each, the last answers are waited for, not what is held. Exits with 1 unless it
    has been done.
    """
    batch = _followed(verb, number)
    verb.say({"redelivery": facts_of(batch), "dry_run": False}, facts(facts_of(batch), verb.style))
    verb.conclude(batch.state == State.DONE)


def _followed(verb: Verb, number: int) -> RedeliveryBatch:
    rows = RedeliveryBatch.objects.using(verb.database).filter(pk=number)
    batch = rows.get()
    with (
        Progress(f"redelivery {number}", verb.err, total=batch.whole) as progress,
        interrupts() as asked,
    ):
        progress.add(batch.seen_to)
        while _goes_on(batch) and not asked.wait(PAUSE_SECONDS):
            batch = rows.get()
            progress.add(batch.seen_to - progress.count)
    return batch


def _goes_on(batch: RedeliveryBatch) -> bool:
    if batch.state == State.RUNNING:
        return True
    return batch.state == State.DONE and batch.once and _waits(batch)


def _waits(batch: RedeliveryBatch) -> bool:
    """Whether anything of it will be answered: what is held may be so for ever."""
    waiting = selecting.of_batch(Delivery.objects.using(batch._state.db), batch.pk, "waiting")
    return waiting.exclude(state=Delivery.State.HELD).exists()


def _silence(using: str) -> str:
    """That no worker runs; empty if one does."""
    if not pulse.feel(using=using).silent:
        return ""
    return "No worker has reported lately, so nothing is being sent: see `webhooks health`."
