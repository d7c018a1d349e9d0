"""What each fault of an attempt means, and what to do about it, in plain words for an operator."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webhook_delivery.outcomes import Fault

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
    Fault.LAPSED: _("Held for too long"),
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
    Fault.LAPSED: _(
        "Its endpoint was not on for longer than HELD_AT_MOST_SECONDS, so nothing was sent when it "
        "came back; redeliver it if it should arrive all the same."
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


def hint_of(fault: str, status: int | None) -> Promise | str:
    """What a fault means and what to do about it, in one sentence; empty for none."""
    if fault == Fault.CLIENT_ERROR and status in ANSWERS:
        return ANSWERS[status]
    return HINTS.get(fault, "")
