"""What faults, verdicts and states mean, in plain words for an operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin import words
from webhook_delivery.admin.text import visible
from webhook_delivery.explaining import LABELS, hint_of
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Fault, Verdict

VERDICTS: Mapping[str, Promise] = {
    Verdict.DELIVERED: _("delivered"),
    Verdict.RETRY: _("to be retried"),
    Verdict.DEFERRED: _("deferred; does not count"),
    Verdict.DEAD: _("dead"),
}

NEXT: Mapping[str, Promise] = {
    Delivery.State.SENDING: _("It is being sent now."),
    Delivery.State.HELD: _("Not before its endpoint is switched on."),
    Delivery.State.DELIVERED: _("None: it has been delivered."),
    Delivery.State.DEAD: _("None, unless a person redelivers it."),
    Delivery.State.DISCARDED: _("None: it was discarded."),
}


ENDED: Mapping[str, Promise] = {
    Delivery.State.DELIVERED: _("delivered"),
    Delivery.State.DEAD: _("died"),
    Delivery.State.DISCARDED: _("died"),
}


class Facts(NamedTuple):
    """The first line of a page, in its parts."""

    state: str
    attempts: str
    ended: Promise | str
    """What happened when it ended; the moment stands after it."""
    reason: Promise | str
    hint: Promise | str
    before: str
    """How often it has been sent in all, if it was redelivered."""


def facts_of(delivery: Delivery, of: int) -> Facts:
    """Say where a delivery stands; `of` is how many attempts it may have in this run."""
    run, all_ = delivery.attempts_in_run, delivery.attempts_made
    attempts = ngettext(
        "after %(number)s of %(of)s attempt", "after %(number)s of %(of)s attempts", of
    )
    before = ngettext("%(number)s attempt in all", "%(number)s attempts in all", all_)
    return Facts(
        state=delivery.get_state_display(),
        attempts=attempts % {"number": run, "of": max(of, run)},
        ended=ENDED.get(delivery.state, ""),
        reason=reason_of(delivery),
        hint=hint_of(delivery.reason, delivery.last_status),
        before=before % {"number": all_} if all_ > run else "",
    )


def reason_of(delivery: Delivery) -> Promise | str:
    """The last fault, in two or three words."""
    if delivery.reason in (Fault.CLIENT_ERROR, Fault.SERVER_ERROR) and delivery.last_status:
        return f"HTTP {delivery.last_status}"
    return label_of(delivery.reason)


def waits(delivery: Delivery) -> bool:
    """Whether it waits for a later attempt, to an endpoint that is on."""
    pending = delivery.state == Delivery.State.PENDING
    later = bool(delivery.due_at and delivery.due_at > timezone.now())
    return pending and later and delivery.endpoint.state == Endpoint.State.ON


def label_of(fault: str) -> Promise | str:
    """The words for a fault; itself, if only a later version knows it."""
    return LABELS.get(fault) or visible(fault)


def duration(milliseconds: int) -> str:
    """How long an attempt took: 12 ms, 1.2 s."""
    if milliseconds < 1000:
        return gettext("%(number)s ms") % {"number": milliseconds}
    if milliseconds < words.MINUTE * 1000:
        return gettext("%(number)s s") % {"number": _number(milliseconds / 1000)}
    return words.span(milliseconds / 1000)


def _number(value: float) -> str:
    """With one digit after the point, if it is not zero."""
    return formats.number_format(round(value, 1), decimal_pos=0 if round(value, 1) % 1 == 0 else 1)
