"""Finds the events that an endpoint hears of and was never owed, and makes those deliveries."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Left, Length, Right
from django.db.models.lookups import Exact

from webhook_delivery import counting, lifecycle
from webhook_delivery.catalogue import TEST
from webhook_delivery.clock import Now
from webhook_delivery.conditions import matches, told_in
from webhook_delivery.counting import Number
from webhook_delivery.lifecycle import Owed, sequence_of
from webhook_delivery.models import Delivery, Endpoint, Event, Subscription
from webhook_delivery.models.event import first_at
from webhook_delivery.retention import certain

COUNTED = 10_000
"""How many are counted exactly; more are “10,000 or more”."""
WINDOW = 10_000
"""How many events are looked at together, of whatever tenant and type: a step is never long."""

LOOKED_INTO = 500
"""How many events are looked into at least, in one step, if the endpoint has conditions."""
BODIES = 50
"""Of so many the bodies are read together."""
Found = tuple[uuid.UUID, str, str, datetime | None]
"""An event, its type, its key, and when it is to be delivered."""


class Made(NamedTuple):
    """What one step has made."""

    made: int
    due: int
    reached: uuid.UUID
    """Events up to this one have been seen to."""


def missed(endpoint: Endpoint, since: datetime, *, using: str) -> QuerySet[Event]:
    """
    The events since then that it should have been owed by what it is subscribed to now.

    If it has conditions, these are no fewer than those that meet them: `make` looks into them.
    """
    return _never_owed(endpoint, using).filter(pk__gt=first_at(since), created_at__gte=since)


def count(events: QuerySet[Event]) -> Number:
    """How many there are, counted so far and no farther."""
    return counting.count(events, cap=COUNTED)


def newest(*, using: str) -> uuid.UUID | None:
    """The last event that there is; None if there is none."""
    events = Event.objects.using(using).order_by("-pk")
    return events.values_list("pk", flat=True).first()


def make(
    endpoint: Endpoint,
    after: uuid.UUID,
    until: uuid.UUID,
    *,
    since: datetime,
    most: int,
    now: datetime,
    using: str,
) -> Made:
    """
    Make some of the deliveries that are missing, the oldest first, in a bounded number of queries.

    after, until: the events between which to look; the last is among them.
    since: no event is older. most: how many to make. now: database time.
    """
    end = _end_of_window(after, until, using)
    events = _never_owed(endpoint, using).filter(created_at__gte=since)
    rows = events.filter(pk__gt=after, pk__lte=end).order_by("pk")
    looked = max(most, LOOKED_INTO) if endpoint.conditions else most
    found = list(rows.values_list("pk", "event_type", "key", "deliver_at")[:looked])
    wanted = _meeting(endpoint, found, most, using) if endpoint.conditions else found
    due = lifecycle.owe((_owed(endpoint, *each, now) for each in wanted), using=using)
    if len(wanted) == most:
        return Made(most, due, wanted[-1][0])
    return Made(len(wanted), due, found[-1][0] if len(found) == looked else end)


def _meeting(endpoint: Endpoint, found: list[Found], most: int, using: str) -> list[Found]:
    """The first of them whose bodies meet its conditions; few bodies at a time are in memory."""
    events, wanted = Event.objects.using(using), list[Found]()
    for start in range(0, len(found), BODIES):
        some = found[start : start + BODIES]
        bodies = dict(events.filter(pk__in=[pk for pk, *_ in some]).values_list("pk", "body"))
        wanted += [
            one for one in some if matches(endpoint.conditions, told_in(bytes(bodies[one[0]])))
        ]
        if len(wanted) >= most:
            break
    return wanted[:most]


def _never_owed(endpoint: Endpoint, using: str) -> QuerySet[Event]:
    """Of older events nobody knows any more: what was delivered may have gone, and they not."""
    owed = Delivery.objects.using(using).filter(event=OuterRef("pk"), endpoint=endpoint.pk)
    whole = Event.objects.using(using).whole()
    events = whole.filter(tenant=endpoint.tenant, targeted=False)
    known = events.filter(created_at__gte=Now() - span) if (span := certain()) else events
    alive = known.filter(Q(expires_at=None) | Q(expires_at__gt=Now())).exclude(event_type=TEST)
    return alive.filter(Exists(_covering(endpoint, using)), ~Exists(owed))


def _covering(endpoint: Endpoint, using: str) -> QuerySet[Subscription]:
    """Its subscriptions that cover the type of an event: itself, `order.*`, or `*`."""
    patterns = Subscription.objects.using(using).filter(endpoint=endpoint.pk)
    prefix = Length("pattern") - 1
    begins = Exact(Left(OuterRef("event_type"), prefix), Left("pattern", prefix))
    whole = Q(pattern=OuterRef("event_type")) | Q(pattern="*")
    return patterns.filter(whole | (Q(Exact(Right("pattern", 2), ".*")) & Q(begins)))


def _end_of_window(after: uuid.UUID, until: uuid.UUID, using: str) -> uuid.UUID:
    events = Event.objects.using(using).filter(pk__gt=after, pk__lte=until).order_by("pk")
    last = events.values_list("pk", flat=True)[WINDOW - 1 : WINDOW].first()
    return until if last is None else last


def _owed(
    endpoint: Endpoint,
    event: uuid.UUID,
    event_type: str,
    key: str,
    later: datetime | None,
    now: datetime,
) -> Owed:
    return Owed(
        event=event,
        event_type=event_type,
        endpoint=endpoint.pk,
        state=endpoint.state,
        moment=now,
        sequence=sequence_of(endpoint.ordered, key),
        format=endpoint.format,
        not_before=later,
    )
