"""Says in words how far a redelivery of many is, and shows what failed again in it."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery.admin import words
from webhook_delivery.batches import Progress
from webhook_delivery.models import Delivery, RedeliveryBatch, Transition

FAILURES = 10
"""So many of the last failures are shown."""

State = RedeliveryBatch.State


def said(batch: RedeliveryBatch, progress: Progress | None) -> str:
    """“Running: 1,204 of 3,958 sent, 1,190 delivered, 14 failed again.”"""
    gone = progress.gone if progress else 0
    if not gone:
        return _said(batch, progress)
    kept = _("Of %(count)s nothing is kept any more.") % {"count": words.number(gone)}
    return f"{_said(batch, progress)} {kept}"


def _said(batch: RedeliveryBatch, progress: Progress | None) -> str:
    if batch.state == State.CANCELLED:
        return _cancelled(batch)
    text = {
        State.RUNNING: _("Running: %(numbers)s"),
        State.PAUSED: _("Paused: %(numbers)s"),
        State.GUARDED: _("Paused itself: %(numbers)s"),
        State.DONE: _("Done: %(numbers)s"),
    }[State(batch.state)]
    return text % {"numbers": _numbers(batch, progress)}


def _numbers(batch: RedeliveryBatch, progress: Progress | None) -> str:
    known = {"sent": words.number(batch.sent), "all": words.number(batch.whole)}
    if batch.kind == RedeliveryBatch.Kind.MISSED:
        return _("%(sent)s of %(all)s made.") % known
    if progress is None:
        return _("%(sent)s of %(all)s sent. To count how they fared took too long.") % known
    return _("%(sent)s of %(all)s sent, %(delivered)s delivered, %(failed)s failed again.") % {
        **known,
        "delivered": words.number(progress.delivered),
        "failed": words.number(progress.failed),
    }


def _cancelled(batch: RedeliveryBatch) -> str:
    rest = batch.whole - batch.sent
    return ngettext(
        "Cancelled after %(sent)s. The other %(rest)s was not touched.",
        "Cancelled after %(sent)s. The other %(rest)s were not touched.",
        rest,
    ) % {"sent": words.number(batch.sent), "rest": words.number(rest)}


def left_in_words(batch: RedeliveryBatch) -> str:
    """“About 4 min 35 s left.”; empty if nobody knows."""
    speed = batch.rate_per_second or _speed(batch)
    rest = batch.whole - batch.seen_to
    if batch.state != State.RUNNING or not speed or not rest:
        return ""
    return _("About %(span)s left.") % {"span": words.span(rest / speed)}


def _speed(batch: RedeliveryBatch) -> float:
    """How many a second it has sent since it began."""
    seconds = (timezone.now() - batch.created_at).total_seconds()
    return batch.seen_to / seconds if seconds > 0 else 0


def pace(rate: float | None) -> str:
    if rate is None:
        return _("as fast as the endpoints' own limits allow")
    return _("at most %(rate)s per second") % {"rate": words.number(rate)}


def guards(batch: RedeliveryBatch) -> list[str]:
    """When it pauses itself, in sentences."""
    said = []
    if batch.canary:
        text = ngettext(
            "It sends %(count)s first, and stops if it fails.",
            "It sends %(count)s first, and stops if all of them fail.",
            batch.canary,
        )
        said.append(text % {"count": batch.canary})
    if batch.stop_above is not None:
        text = _("It stops if more than %(share)s%% of the last hundred fail.")
        said.append(text % {"share": batch.stop_above})
    return said or [_("It does not stop by itself.")]


def last_failures(batch: RedeliveryBatch) -> list[Delivery]:
    """The last that were tried and not delivered, the newest first."""
    sent = Transition.objects.using(batch._state.db).filter(batch=batch)
    failed = sent.filter(delivery__attempts_made__gt=F("after")).exclude(
        delivery__state__in=[Delivery.State.DELIVERED, Delivery.State.SENDING]
    )
    newest = failed.select_related("delivery__endpoint").order_by("-pk")[:FAILURES]
    return [each.delivery for each in newest]


def fates(batch: RedeliveryBatch, progress: Progress) -> list[dict[str, Any]]:
    """What has become of those it was about: how many, and how the list of them is asked for."""
    if batch.kind == RedeliveryBatch.Kind.MISSED:  # what it makes is sent like any other
        return []
    counted = [
        (_("Delivered"), progress.delivered, "delivered"),
        (_("Failed again"), progress.failed, "failed"),
        (_("Waiting"), progress.waiting, "waiting"),
        (_("Left"), batch.left, "left"),
    ]
    ahead = batch.whole - batch.seen_to
    if ahead and batch.state != State.DONE:  # what is lacking then was not to be sent any more
        counted.append((_("Not reached"), ahead, "ahead"))
    return [
        {"label": label, "count": words.number(count), "query": f"batch={batch.pk}&fate={fate}"}
        for label, count, fate in counted
    ]
