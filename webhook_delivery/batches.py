"""What a person does with redeliveries of many: look, start, pause, resume, slow down, cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import Case, Count, F, Max, Value, When

from webhook_delivery import doorbell, missing
from webhook_delivery.clock import Now
from webhook_delivery.counting import Number, both, count, count_each
from webhook_delivery.guarding import Fate, counted, fate
from webhook_delivery.guarding import Progress as Progress
from webhook_delivery.locking import insist
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, RedeliveryBatch, Transition
from webhook_delivery.models.event import first_at
from webhook_delivery.selecting import COUNTED, off, on, selected
from webhook_delivery.validation import validate_rate

State = RedeliveryBatch.State
Kind = RedeliveryBatch.Kind

ALLOWED: Mapping[str, Sequence[State]] = {
    "pause": (State.RUNNING,),
    "resume": (State.PAUSED, State.GUARDED),
    "cancel": RedeliveryBatch.UNFINISHED,
    "set_rate": RedeliveryBatch.UNFINISHED,
}
"""In which states of a redelivery each of these verbs does something."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a redelivery would do if it began now."""

    chosen: Number
    sent: Number
    left: Number
    """Those whose endpoints are not on; of which the bodies are gone, is seen in their turn."""


def preview(selection: Mapping[str, Any], *, using: str | None = None) -> Preview:
    """Say how many deliveries a selection holds (see `selecting.selection_of`)."""
    using = _home(using)
    rows = selected(selection, using=using)
    parts = count_each({"sent": on(rows), "left": off(rows)}, cap=COUNTED, using=using)
    return Preview(chosen=both(*parts.values(), cap=COUNTED), **parts)


def start(
    selection: Mapping[str, Any],
    *,
    by: Any = None,
    reason: str = "",
    rate: float | None = None,
    canary: int = 0,
    stop_above: int | None = None,
    once: bool = True,
    token: UUID | None = None,
    using: str | None = None,
) -> RedeliveryBatch:
    """
    Begin to send again what is selected, the oldest first; what comes later is not.

    by: the user who asks (or a name); reason: why. Both are kept.
    rate: how many a second, at most. canary: so many first, and no more if all of them fail.
    stop_above: percent of the last hundred that may fail. once: one attempt each, without retries.
    token: of the question that this answers.
    Raises IntegrityError if that has been answered, and ValidationError for no sensible rate.
    """
    validate_rate(rate)
    using = _home(using)

    def begin() -> RedeliveryBatch:
        number = count(selected(selection, using=using), cap=COUNTED).of
        newest = Delivery.objects.using(using).aggregate(newest=Max("pk"))["newest"]
        action = ConsoleAction.record(
            "redeliver", [], by=by, reason=reason, using=using, count=number
        )
        return _create(
            action,
            using,
            selection=dict(selection),
            cutoff=newest or 0,
            expected=number,
            rate_per_second=rate,
            canary=canary,
            stop_above=stop_above,
            once=once,
            token=token,
        )

    return insist(begin, using=using)


def start_missed(
    endpoint: int,
    since: datetime,
    *,
    by: Any = None,
    reason: str = "",
    rate: float | None = None,
    tenants: Sequence[str] | None = None,
    token: UUID | None = None,
    using: str | None = None,
) -> RedeliveryBatch:
    """
    Begin to make the deliveries that an endpoint was never owed: it was off, or not subscribed.

    They are of events since then, of its tenant, that it is subscribed to now; the oldest first.
    Its pauses hold them like others; while it is off, this waits.

    by: the user who asks (or a name); reason: why. Both are kept. rate: how many a second, at most.
    tenants: those of which that user sees something; None: all.
    token: of the question that this answers.
    Raises IntegrityError if that has been answered, ValidationError for no sensible rate, and
    Endpoint.DoesNotExist.
    """
    validate_rate(rate)
    using = _home(using)
    to = Endpoint.objects.using(using).get(pk=endpoint)
    selection = {"endpoint": to.pk, "since": since.isoformat()}
    selection |= {} if tenants is None else {"tenants": list(tenants)}
    first = first_at(since)
    newest = missing.newest(using=using) or first
    number = missing.count(missing.missed(to, since, using=using)).of

    def begin() -> RedeliveryBatch:
        who = {"by": by, "reason": reason, "about": f"{to.pk} ({to.name})"}
        action = ConsoleAction.record("recover_missed", [], using=using, count=number, **who)
        return _create(
            action,
            using,
            kind=Kind.MISSED,
            selection=selection,
            cutoff=0,
            event_cursor=first,
            event_cutoff=newest,
            expected=number,
            rate_per_second=rate,
            once=False,
            token=token,
        )

    return insist(begin, using=using)


def pause(batch: int, *, by: Any = None, reason: str = "", using: str | None = None) -> bool:
    """Send nothing more of it until it is resumed. Returns whether it was running."""
    return _switch("pause", batch, State.PAUSED, by, reason, _home(using))


def resume(batch: int, *, by: Any = None, reason: str = "", using: str | None = None) -> bool:
    """Go on where it stopped; its canary and its guard begin anew. Returns whether it did."""
    using = _home(using)
    latest = Transition.objects.using(using).aggregate(latest=Max("pk"))["latest"]
    more = {"watched_from": latest or 0, "due_at": Now()}
    return _switch("resume", batch, State.RUNNING, by, reason, using, **more)


def cancel(batch: int, *, by: Any = None, reason: str = "", using: str | None = None) -> bool:
    """End it; what it has not sent is left as it is. Returns whether it had not ended."""
    return _switch("cancel", batch, State.CANCELLED, by, reason, _home(using), ended_at=Now())


def set_rate(
    batch: int, rate: float | None, *, by: Any = None, reason: str = "", using: str | None = None
) -> bool:
    """
    Change how many a second it sends; None: as many as the endpoints' own limits allow.

    Returns whether it had not ended. Raises ValidationError for no sensible rate.
    """
    validate_rate(rate)
    using = _home(using)
    unfinished = RedeliveryBatch.objects.using(using).unfinished().filter(pk=batch)

    def change() -> bool:
        changed = unfinished.update(rate_per_second=rate, due_at=Now())
        if changed:
            _record("rate", batch, by, f"{rate or ''} {reason}".strip(), using)
        return bool(changed)

    return insist(change, using=using)


def progress(batch: RedeliveryBatch) -> Progress:
    """Count those that were sent by what has become of them."""
    return progress_of([batch])[batch.pk]


def progress_of(batches: Sequence[RedeliveryBatch]) -> dict[int, Progress]:
    """The same of many in one database, by their numbers, with one statement for all."""
    found: dict[int, Counter[Fate]] = {batch.pk: Counter() for batch in batches}
    sent = Transition.objects.using(batches[0]._state.db if batches else None)
    tried = Case(When(delivery__attempts_made__gt=F("after"), then=Value(True)), default=False)
    rows = sent.filter(batch__in=found).values_list("batch", "delivery__state", tried)
    for batch, state, was_tried, number in rows.annotate(Count("pk")) if found else ():
        found[batch][fate(state, tried=was_tried)] += number
    logged = {batch.pk: batch.sent for batch in batches if batch.kind == Kind.AGAIN}
    return {pk: counted(fates, sent=logged.get(pk, 0)) for pk, fates in found.items()}


def _create(action: ConsoleAction, using: str, **fields: Any) -> RedeliveryBatch:
    """Write it, by whom and why its line in the audit says, and ring: it is due."""
    who = {"by_id": action.by_id, "by_name": action.by_name, "reason": action.reason}
    begun = {"created_at": Now(), "due_at": Now()}
    batch = RedeliveryBatch.objects.using(using).create(**begun, **who, **fields)
    batch.refresh_from_db(using=using, fields=list(begun))
    doorbell.ring_on_commit(using=using)
    return batch


def _switch(
    verb: str, batch: int, becomes: State, by: Any, reason: str, using: str, **more: Any
) -> bool:
    rows = RedeliveryBatch.objects.using(using).filter(pk=batch, state__in=ALLOWED[verb])

    def switch() -> bool:
        changed = rows.update(state=becomes, state_reason=reason[:200], **more)
        if changed:
            _record(becomes.value, batch, by, reason, using)
            doorbell.ring_on_commit(using=using)
        return bool(changed)

    return insist(switch, using=using)


def _record(what: str, batch: int, by: Any, reason: str, using: str) -> None:
    verb = f"batch {what}"[:20]
    ConsoleAction.record(verb, [], by=by, reason=f"#{batch} {reason}".strip(), using=using)


def _home(using: str | None) -> str:
    return using or router.db_for_write(RedeliveryBatch)
