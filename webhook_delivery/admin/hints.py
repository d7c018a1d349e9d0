"""What faults, verdicts and states mean, in plain words for an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.text import visible
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Fault, Verdict

LABELS: Mapping[str, Promise] = {
    Fault.REDIRECT: _("Redirected"),
    Fault.GONE: _("Gone (410)"),
    Fault.CLIENT_ERROR: _("Refused by the receiver (4xx)"),
    Fault.SERVER_ERROR: _("Receiver failed (5xx)"),
    Fault.TIMEOUT: _("Timed out"),
    Fault.DNS: _("Host name unknown"),
    Fault.REFUSED: _("Connection refused"),
    Fault.RESET: _("Connection broken"),
    Fault.TLS: _("TLS failed"),
    Fault.BLOCKED: _("Address not allowed"),
    Fault.PROTOCOL: _("Not HTTP"),
    Fault.TOO_LARGE: _("Answer too large"),
    Fault.PROXY: _("Refused by the proxy"),
    Fault.ABORTED: _("Aborted by the receiver"),
    Fault.CONFIG: _("Endpoint set up wrongly"),
    Fault.SECRET: _("Secret unavailable"),
    Fault.EXHAUSTED: _("Worker exhausted"),
    Fault.INTERNAL: _("Failed in itself"),
    Fault.EXPIRED: _("Expired"),
    Fault.ERASED: _("Body gone"),
    Fault.WORKER_LOST: _("Worker lost"),
    Fault.UNRECORDED: _("Record lost"),
}

HINTS: Mapping[str, Promise] = {
    Fault.REDIRECT: _("Redirects are not followed; set the endpoint's URL to the new address."),
    Fault.GONE: _("The receiver says that this address is gone for good; ask it for a new one."),
    Fault.CLIENT_ERROR: _(
        "The receiver says that the request is wrong: check the URL, and whether it knows "
        "the endpoint's signing secret."
    ),
    Fault.SERVER_ERROR: _(
        "The receiver failed while it handled the request; redeliver once it has recovered."
    ),
    Fault.TIMEOUT: _(
        "No complete answer came in time; the receiver may have processed the event all the same."
    ),
    Fault.DNS: _("The host name does not resolve: it is misspelt, or its DNS is down."),
    Fault.REFUSED: _("No connection could be made: nothing listens there, or a firewall says no."),
    Fault.RESET: _(
        "The connection ended before an answer came; the receiver may have processed the event "
        "all the same."
    ),
    Fault.TLS: _("No secure connection could be made: see whether the certificate is valid."),
    Fault.BLOCKED: _(
        "The settings do not allow it: see ALLOW_HTTP, ALLOWED_PORTS and ALLOWED_NETWORKS."
    ),
    Fault.PROTOCOL: _("What came back is not an answer in HTTP: see what serves this port."),
    Fault.TOO_LARGE: _(
        "The answer began with more than it may hold: see what serves this URL, and its headers."
    ),
    Fault.PROXY: _("The egress proxy did not connect: see its own log, and EGRESS_PROXY."),
    Fault.ABORTED: _(
        "The receiver asked for this event no more, by the header “webhook-delivery”."
    ),
    Fault.CONFIG: _(
        "Nothing was sent, for the endpoint or the event breaks a rule: see what is written beside."
    ),
    Fault.SECRET: _(
        "The endpoint's secrets cannot be opened, so nothing was sent: see whether SECRET_KEYS "
        "or SECRET_KEY has changed. Once they can, it goes on with all its attempts."
    ),
    Fault.EXHAUSTED: _(
        "The worker had too many files open, so nothing was sent: raise its limit (ulimit -n)."
    ),
    Fault.INTERNAL: _(
        "The attempt failed by a fault of our own, which the worker's log names; the event may "
        "have arrived."
    ),
    Fault.EXPIRED: _(
        "The event had expired before it could be sent, so nothing was sent; redeliver it if it "
        "should arrive all the same."
    ),
    Fault.ERASED: _(
        "The event's body was erased, or removed when its time was over, so nothing was sent, and "
        "nothing can be sent again."
    ),
    Fault.WORKER_LOST: _(
        "The worker ended before it could record an answer; the event may have arrived."
    ),
    Fault.UNRECORDED: _(
        "The record of this attempt was lost from the database; `webhooks verify` noticed it."
    ),
}

ANSWERS: Mapping[int | None, Promise] = {
    401: _("The receiver rejected the credentials or the signature."),
    403: _("The receiver rejected the credentials or the signature."),
    404: _("The receiver knows no such address: see whether the URL is still right."),
    413: _("The receiver takes no body of this size."),
    429: _("The receiver gets more than it can take; what it asks to wait is waited."),
}
"""What some statuses mean, more exactly than their faults do."""

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

UNITS: Sequence[tuple[int, Promise]] = [
    (86_400, _("%(number)s d")),
    (3600, _("%(number)s h")),
    (60, _("%(number)s min")),
]


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


def hint_of(fault: str, status: int | None) -> Promise | str:
    """What a fault means and what to do about it, in one sentence; empty for none."""
    if fault == Fault.CLIENT_ERROR and status in ANSWERS:
        return ANSWERS[status]
    return HINTS.get(fault, "")


def span(seconds: float) -> str:
    """So many seconds in the largest unit of which there is a whole one: 5 s, 1.5 h."""
    for size, words in UNITS:
        if seconds >= size:
            return str(words) % {"number": _number(seconds / size)}
    return gettext("%(number)s s") % {"number": _number(seconds)}


def duration(milliseconds: int) -> str:
    """How long an attempt took: 12 ms, 1.2 s."""
    if milliseconds < 1000:
        return gettext("%(number)s ms") % {"number": milliseconds}
    return span(milliseconds / 1000)


def moment(at: datetime) -> str:
    """A time as text, with its zone."""
    return formats.date_format(timezone.localtime(at), "Y-m-d H:i T")


def _number(value: float) -> str:
    """With one digit after the point, if it is not zero."""
    return formats.number_format(round(value, 1), decimal_pos=0 if round(value, 1) % 1 == 0 else 1)
