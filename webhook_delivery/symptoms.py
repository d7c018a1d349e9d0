"""What the rows themselves say of what is wrong: claims outlived, moments that never come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from webhook_delivery.claims import lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, DeliveryQuerySet

LONGEST_WAIT_SECONDS = 604_800
"""What a retry schedule may have at most."""
LOOKED_AT = 1000
"""Of how many deliveries it is asked whether they are too late."""
COUNTED = 100
"""Of rows that are wrong, no more are counted."""
SLACK_SECONDS = 60
"""How far a moment may lie beyond the longest wait before a clock is blamed."""


@dataclass(frozen=True, slots=True)
class Illness:
    """One thing that is wrong: a short code, what was seen, and the remedy."""

    code: str
    seen: str
    remedy: str
    restart: bool = False
    """Whether the remedy is to restart the worker: what a watchdog may do by itself."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_rows(using: str) -> Iterator[Illness]:
    """What only a person can put right."""
    yield from _far_off(using)
    yield from _unreachable(using)


def stuck(using: str) -> Iterator[Illness]:
    if count := _count(Delivery.objects.using(using).stuck()):
        yield Illness(
            "stuck",
            _("%s claims have outlived their lease: their workers were lost.") % count,
            _(
                "The next drain takes them over; start a worker if none runs. What stays: "
                "`manage.py webhooks verify --repair`."
            ),
        )


def _far_off(using: str) -> Iterator[Illness]:
    """A database whose clock was wrong for a while has written moments that will not come."""
    longest = max(LONGEST_WAIT_SECONDS, settings.RETRY_AFTER_CAP_SECONDS)
    deliveries = Delivery.objects.using(using)
    if count := _too_late(_beyond(deliveries.pending(), longest * (1 + settings.RETRY_JITTER))):
        yield Illness(
            "far_off",
            _("%s deliveries are due later than any wait allows: was a clock wrong?") % count,
            _("Run `manage.py webhooks verify --repair`: then they are due as their log says."),
        )
    if count := _count(_beyond(deliveries.sending(), lease_seconds())):
        yield Illness(
            "far_off",
            _("%s claims end later than any lease: was a clock set back?") % count,
            _(
                "If their workers are lost, they are taken over when that moment has come; if that "
                "is more than a day away, run `manage.py webhooks verify --repair`."
            ),
        )


def _beyond(rows: DeliveryQuerySet, seconds: float) -> DeliveryQuerySet:
    return rows.filter(due_at__gt=Now() + timedelta(seconds=seconds + SLACK_SECONDS))


def _too_late(rows: DeliveryQuerySet) -> str:
    """Of those that are due last, those that were not published for so late."""
    last = rows.order_by("-due_at").values_list("due_at", "event__deliver_at")[:LOOKED_AT]
    return _said(len([due for due, wished in last if not (due and wished and wished >= due)]))


def _unreachable(using: str) -> Iterator[Illness]:
    undated = Q(state="sending", due_at=None) | Q(state="pending", due_at=None, sequence=None)
    unclaimed = Q(state="sending", claim=None)
    if count := _count(Delivery.objects.using(using).filter(undated | unclaimed)):
        yield Illness(
            "unreachable",
            _("%s deliveries wait for no moment or no worker, and would wait for ever.") % count,
            _("Run `manage.py webhooks verify --repair`."),
        )


def _count(rows: DeliveryQuerySet) -> str:
    """How many, in words; empty if none, and never counting millions."""
    return _said(len(rows.order_by().values_list("pk")[: COUNTED + 1]))


def _said(counted: int) -> str:
    return (str(counted) if counted <= COUNTED else _("Over %d") % COUNTED) if counted else ""
