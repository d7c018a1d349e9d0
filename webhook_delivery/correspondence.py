"""Writes to the people behind endpoints: a change owes them a mail, and the sweep posts it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.core import mail
from django.dispatch import Signal, receiver
from django.template.loader import render_to_string
from django.utils.dateparse import parse_datetime

from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.logs import log_of
from webhook_delivery.models import Endpoint, Notice
from webhook_delivery.notifying import Told, along, in_json
from webhook_delivery.signals import endpoint_disabled, endpoint_recovered, endpoint_warned

logger = log_of(__name__)

Kind = Notice.Kind

KINDS: Mapping[Signal, Kind] = {
    endpoint_warned: Kind.WARNED,
    endpoint_disabled: Kind.DISABLED,
    endpoint_recovered: Kind.RECOVERED,
}
TROUBLE = (Kind.WARNED, Kind.DISABLED)
AT_ONCE = 20
"""So many are posted by one sweep, at most."""
POSTING_SECONDS = 5
"""One sweep begins no other mail after so long: what is to be delivered waits for it."""
WAITS = (60, 300, 1800, 7200, 21_600, 86_400)
"""Seconds before a mail that could not be sent is tried again; after the last it is given up."""


@receiver(along)
def owe(what: Signal, told: Told, using: str, **kwargs: Any) -> None:
    """Owe a mail to each contact, in the transaction that makes the change."""
    if (kind := KINDS.get(what)) is None:
        return
    for row in Endpoint.objects.using(using).filter(pk__in=told).exclude(contact=""):
        if _is_news(row, kind, using):
            owed = {"endpoint_id": row.pk, "kind": kind, "facts": in_json(told[row.pk])}
            Notice.objects.using(using).create(**owed, created_at=Now(), due_at=Now())


def post(*, using: str) -> int:
    """
    Send the mails that are due, for some seconds; returns how many were sent.

    Each is taken by comparing and setting, so that two sweeps do not both send it. One whose
    sender dies in between is sent again: better twice than never.
    """
    ends, sent = time.monotonic() + POSTING_SECONDS, 0
    due = Notice.objects.using(using).filter(due_at__lte=Now()).select_related("endpoint")
    for notice in due.order_by("due_at")[:AT_ONCE]:
        if time.monotonic() > ends:
            break
        sent += _take(notice, using) and _post(notice, using)
    return sent


def _is_news(endpoint: Endpoint, kind: Kind, using: str) -> bool:
    """Well again is only who was told to be ill; and nobody is told the same twice in an hour."""
    notices = Notice.objects.using(using).filter(endpoint=endpoint)
    latest = notices.order_by("-pk").first()
    if kind == Kind.RECOVERED and (latest is None or latest.kind not in TROUBLE):
        return False
    since = Now() - timedelta(seconds=settings.CONTACT_SECONDS)
    return not notices.filter(kind=kind, created_at__gt=since).exists()


def _take(notice: Notice, using: str) -> bool:
    """It is due again after a wait, unless it has been sent then; the last time, never."""
    wait = WAITS[notice.attempts] if notice.attempts < len(WAITS) else None
    same = Notice.objects.using(using).filter(pk=notice.pk, attempts=notice.attempts)
    again = None if wait is None else Now() + timedelta(seconds=wait)
    return bool(same.exclude(due_at=None).update(due_at=again, attempts=notice.attempts + 1))


def _post(notice: Notice, using: str) -> bool:
    """Whether it was sent; whose contact is gone meanwhile is not asked for again."""
    try:
        sent = _send(notice)
    except Exception:  # whatever a mail server says, a sweep has more to do
        about = {"endpoint": notice.endpoint_id}
        logger.exception("Notice %s could not be sent", notice.pk, extra=about)
        return False
    done = {"due_at": None, **({"sent_at": Now()} if sent else {})}
    Notice.objects.using(using).filter(pk=notice.pk).update(**done)
    return sent


def _send(notice: Notice) -> bool:
    """To the contact that the endpoint has now, if any; in words that a project may replace."""
    if not notice.endpoint.contact:
        return False
    told = _told(notice)
    subject, body = (
        render_to_string(f"webhook_delivery/mail/{notice.kind}_{part}.txt", told)
        for part in ("subject", "body")
    )
    message = mail.EmailMessage(" ".join(subject.split()), body, to=[notice.endpoint.contact])
    _mailer().send_messages([message])
    return True


def _mailer() -> Any:
    """One that does not wait for ever, as Django's do unless a timeout is set."""
    mailer = _mailer_of_project()
    if getattr(mailer, "timeout", 0) is None:
        mailer.timeout = POSTING_SECONDS
    return mailer


def _mailer_of_project() -> Any:
    """Since Django 6.1 the default of MAILERS; without MAILERS, that is what EMAIL_… make."""
    mailers: Any = getattr(mail, "mailers", None)
    return mail.get_connection() if mailers is None else mailers.default


def _told(notice: Notice) -> dict[str, Any]:
    """Without path and query of the URL: tokens live there."""
    since = notice.facts.get("failing_since")
    return {
        "endpoint": notice.endpoint,
        "host": urlsplit(notice.endpoint.url).hostname,
        "reason": notice.facts.get("reason", ""),
        "since": parse_datetime(since) if since else None,
        "at": notice.created_at,
    }
