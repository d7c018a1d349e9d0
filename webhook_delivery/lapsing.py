"""Finds what was held for so long that it is not to be sent any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import F

from webhook_delivery.conf import settings
from webhook_delivery.models import Transition


def lapsed(made: Mapping[int, datetime], *, now: datetime, using: str) -> set[int]:
    """
    Say which of these deliveries were older than `HELD_AT_MOST_SECONDS` when they were released.

    made: by their numbers, when they were made. One that was to be sent later is as old as that
    wish. No query is made unless one of them is so old by now: then one, of whatever number.
    """
    limit = timedelta(seconds=settings.HELD_AT_MOST_SECONDS)
    old = {pk: moment for pk, moment in made.items() if limit and now - moment > limit}
    return {pk for pk, age in _ages_at_release(old, using) if age > limit} if old else set()


def _ages_at_release(made: Mapping[int, datetime], using: str) -> Iterator[tuple[int, timedelta]]:
    """Of those that nothing has happened to since they were released."""
    logged = Transition.objects.using(using).filter(delivery__in=list(made))
    latest = logged.filter(after=F("delivery__attempts_made") - 1).order_by("pk")
    columns = latest.values_list("delivery", "verb", "at", "delivery__event__deliver_at")
    for pk, verb, at, wished in {row[0]: row for row in columns}.values():
        if verb == Transition.Verb.RELEASE:
            yield pk, at - max(made[pk], wished or made[pk])
