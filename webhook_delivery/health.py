"""Says whether deliveries flow: each fault found, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db import DatabaseError, router
from django.utils.translation import gettext as _

from webhook_delivery import scheduling
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, Doorbell


@dataclass(frozen=True, slots=True)
class Illness:
    """One thing that is wrong: a short code, what was seen, and the remedy."""

    code: str
    seen: str
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(*, using: str | None = None) -> list[Illness]:
    """Look for what keeps deliveries from flowing; an empty list means that they flow."""
    using = using or router.db_for_write(Delivery)
    try:
        flow = list(_silence(using)) or [*_lateness(using), *_stuck_claims(using)]
        return [*flow, *_missing_schedules()]
    except DatabaseError as error:
        return [_database(error)]


def _database(error: DatabaseError) -> Illness:
    return Illness(
        "database",
        _("The database does not answer: %s.") % str(error).strip(),
        _("Run `manage.py migrate` if it is new; else see whether it is up."),
    )


def _silence(using: str) -> Iterator[Illness]:
    seconds = _seconds_since_drained(using)
    if seconds is None or seconds > settings.HEALTH_SILENCE_SECONDS:
        never = _("Nothing has ever drained.")
        yield Illness(
            "silence",
            never if seconds is None else _("Nothing has drained for %d seconds.") % seconds,
            _("Start a worker: `manage.py qcluster`, or `manage.py webhooks drain`."),
        )


def _lateness(using: str) -> Iterator[Illness]:
    due = Delivery.objects.using(using).waiting().first_due_in()
    if due is not None and -due > settings.HEALTH_LATE_SECONDS:
        yield Illness(
            "late",
            _("The oldest due delivery is %d seconds late.") % -due,
            _("Start more workers, or look for an endpoint that answers slowly."),
        )


def _stuck_claims(using: str) -> Iterator[Illness]:
    stuck = Delivery.objects.using(using).stuck().count()
    if stuck:
        yield Illness(
            "stuck",
            _("%d claims have outlived their lease: their workers were lost.") % stuck,
            _("The next drain takes them over; start a worker if none runs."),
        )


def _missing_schedules() -> Iterator[Illness]:
    for name in scheduling.schedules_missing():
        yield Illness(
            "schedule",
            _("The schedule “%s” is missing or switched off.") % name,
            _("Run `manage.py migrate`, or switch it on among django-q2's scheduled tasks."),
        )


def _seconds_since_drained(using: str) -> float | None:
    row = Doorbell.objects.using(using).values_list("drained_at", Now()).first()
    if row is None or row[0] is None:
        return None
    return float((row[1] - row[0]).total_seconds())
