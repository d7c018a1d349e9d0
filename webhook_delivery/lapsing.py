"""Finds what was held for so long that it is not to be sent any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import F, Q

from webhook_delivery.conf import settings
from webhook_delivery.models import Transition


def lapsed(made: Mapping[int, datetime], *, now: datetime, using: str) -> set[int]:
    """
    Say which of these deliveries have been released too late: older than `HELD_AT_MOST_SECONDS`.

    made: by their numbers, when they were made. One that was to be sent later is as old as that
    wish. No query is made unless one of them is so old: then one, of whatever number.
    """
    limit = settings.HELD_AT_MOST_SECONDS
    since = now - timedelta(seconds=limit)
    old = [pk for pk, moment in made.items() if limit and moment < since]
    return _released(old, since, using) if old else set()


def _released(deliveries: list[int], since: datetime, using: str) -> set[int]:
    """Those that nothing has happened to since they were released."""
    logged = Transition.objects.using(using).filter(delivery__in=deliveries)
    latest = logged.filter(after=F("delivery__attempts_made") - 1).order_by("pk")
    wished = Q(delivery__event__deliver_at=None) | Q(delivery__event__deliver_at__lt=since)
    verbs = dict(latest.filter(wished).values_list("delivery", "verb"))
    return {pk for pk, verb in verbs.items() if verb == Transition.Verb.RELEASE}
