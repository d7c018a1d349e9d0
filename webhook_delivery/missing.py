"""Finds the events that an endpoint hears of and was never owed, and makes those deliveries."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Left, Length, Right
from django.db.models.lookups import Exact

from webhook_delivery import counting, lifecycle
from webhook_delivery.counting import Number
from webhook_delivery.lifecycle import Owed, sequence_of
from webhook_delivery.models import Delivery, Endpoint, Event, Subscription

COUNTED = 10_000
"""How many are counted exactly; more are “10,000 or more”."""
WINDOW = 10_000
"""How many events are looked at together, of whatever tenant and type: a step is never long."""

TEST = "webhook.test"
"""Of these, an event is for the one endpoint that was tested."""


class Made(NamedTuple):
    """What one step has made."""

    made: int
    due: int
    reached: uuid.UUID
    """Events up to this one have been seen to."""


def missed(endpoint: Endpoint, since: datetime, *, using: str) -> QuerySet[Event]:
    """The events since then that it should have been owed by what it is subscribed to now."""
    return _never_owed(endpoint, using).filter(pk__gt=first_at(since))


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
    most: int,
    now: datetime,
    using: str,
) -> Made:
    """
    Make some of the deliveries that are missing, the oldest first, in a constant number of queries.

    after, until: the events between which to look; the last is among them.
    most: how many to make. now: database time.
    """
    end = _end_of_window(after, until, using)
    rows = _never_owed(endpoint, using).filter(pk__gt=after, pk__lte=end).order_by("pk")
    found = list(rows.values_list("pk", "key")[:most])
    due = lifecycle.owe((_owed(endpoint, pk, key, now) for pk, key in found), using=using)
    return Made(len(found), due, found[-1][0] if len(found) == most else end)


def first_at(moment: datetime) -> uuid.UUID:
    """The least id that an event of that moment can have: ids are in the order of time."""
    when = int(moment.timestamp() * 1000) << 80
    return uuid.UUID(int=when | 0x7 << 76 | 0b10 << 62)


def _never_owed(endpoint: Endpoint, using: str) -> QuerySet[Event]:
    owed = Delivery.objects.using(using).filter(event=OuterRef("pk"), endpoint=endpoint.pk)
    events = Event.objects.using(using).filter(tenant=endpoint.tenant).exclude(event_type=TEST)
    return events.filter(Exists(_covering(endpoint, using)), ~Exists(owed))


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


def _owed(endpoint: Endpoint, event: uuid.UUID, key: str, now: datetime) -> Owed:
    sequence = sequence_of(endpoint.ordered, key)
    return Owed(event, endpoint.pk, endpoint.state, now, sequence, endpoint.format)
