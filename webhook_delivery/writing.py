"""Writes events and what is owed of them, inside a transaction, a constant number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from heapq import merge
from itertools import groupby
from operator import or_
from typing import Any

from django.db import IntegrityError
from django.db.models import Q, QuerySet

from webhook_delivery import doorbell, lifecycle, observing, targeting
from webhook_delivery.composing import InvalidEvent
from webhook_delivery.conditions import matches, told_in
from webhook_delivery.conf import settings
from webhook_delivery.hearing import Kind, Subscriber, heard, values_of
from webhook_delivery.lifecycle import Owed, sequence_of
from webhook_delivery.models import Event, SearchKey
from webhook_delivery.searching import values_in

CHUNK = 900
"""How many events are written at once, and how many values one query asks for: SQLite before 3.32
takes 999."""
CHUNK_BYTES = 4 * 1024 * 1024
"""How many bytes of bodies, which escaping may double: MariaDB takes 16 MiB in one packet."""
PAIRS = 200
"""How many idempotency keys are looked up at once, each with its tenant."""


def write(
    events: Sequence[Event],
    *,
    using: str,
    first: list[Subscriber] | None = None,
    named: Mapping[int, Subscriber] | None = None,
) -> Sequence[Event]:
    """
    Insert the events and their deliveries, and ring if anything is due. At most a chunk of them.

    Returns those written: others have an idempotency key that was used before. `first` is the
    first page of those who hear them, and `named` those that they name, if they were read before.
    Raises InvalidEvent for a target that cannot be one, before anything is written.
    """
    named = targeting.named(events, using=using) if named is None else named
    with observing.publishing(events):
        written = _insert(events, using)
        _make_findable(written, using)
        owed = _owed(written, using, first, named) if written else ()
        if lifecycle.owe(owed, using=using):
            doorbell.ring_on_commit(using=using)
    observing.published(len(written), using=using)
    return written


def chunks(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Take as many of the events at a time as one statement bears."""
    chunk = _Chunk()
    for event in events:
        if not chunk.takes(event):
            yield chunk.events
            chunk = _Chunk()
        chunk.add(event)
    if chunk.events:
        yield chunk.events


class _Chunk:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.bytes = 0
        self.values: set[object] = set()

    def takes(self, event: Event) -> bool:
        return not self.events or (
            len(self.events) < CHUNK
            and self.bytes + len(event.body) <= CHUNK_BYTES
            and len(self.values) + len(values_of(kind_of(event)) - self.values) <= CHUNK
        )

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.bytes += len(event.body)
        self.values |= values_of(kind_of(event))


def kind_of(event: Event) -> Kind:
    return Kind(event.tenant, event.event_type)


def published_as(events: Iterable[Event], *, using: str) -> QuerySet[Event]:
    """The events that were published under the keys of these."""
    keys = (Q(tenant=event.tenant, idempotency_key=event.idempotency_key) for event in events)
    return Event.objects.using(using).filter(reduce(or_, keys))


def require_same(event: Event, published: Event | None) -> Event:
    """
    Return what was published before under the event's key.

    Raise InvalidEvent if the key was used for another type: it would swallow what happened;
    IntegrityError if nothing can be found under the key that the database says is used.
    """
    if published is None:
        raise IntegrityError(f"{event.event_type!r} is neither written nor to be found.")
    if published.event_type != event.event_type:
        raise InvalidEvent(
            f"{event.event_type!r}: the idempotency key {event.idempotency_key!r} "
            f"was used for {published.event_type!r}."
        )
    return published


def require_all_same(events: Sequence[Event], *, using: str) -> None:
    """Raise as `require_same` does for the first of many; a constant number of statements."""
    for start in range(0, len(events), PAIRS):
        some = events[start : start + PAIRS]
        found = published_as(some, using=using).defer("body")
        published = {(one.tenant, one.idempotency_key): one for one in found}
        for event in some:
            require_same(event, published.get((event.tenant, event.idempotency_key)))


def _insert(events: Sequence[Event], using: str) -> Sequence[Event]:
    """Insert what is new. Between two that write one key at once, the unique constraint decides."""
    rows = Event.objects.using(using)
    keyed = any(event.idempotency_key is not None for event in events)
    rows.bulk_create(events, ignore_conflicts=keyed)
    if not keyed:
        return events
    written = set(rows.filter(pk__in=[event.pk for event in events]).values_list("pk", flat=True))
    return [event for event in events if event.pk in written]


def _make_findable(events: Sequence[Event], using: str) -> None:
    """Keep what people look for them by, with one statement; on SQLite, Django makes several."""
    keys = settings.SEARCH_KEYS
    found = [
        SearchKey(event_id=event.pk, key=key, value=value)
        for event in (events if keys else ())
        for key, value in values_in(bytes(event.body), keys)
    ]
    SearchKey.objects.using(using).bulk_create(found)


def _owed(
    events: Sequence[Event],
    using: str,
    first: list[Subscriber] | None,
    named: Mapping[int, Subscriber],
) -> Iterator[Owed]:
    """Endpoint by endpoint, and to each in the order of the events."""
    subscribed = _subscribed(events, using, first)
    told = merge(subscribed, targeting.told(events, named), key=_endpoint)
    for _, hearings in groupby(told, key=_endpoint):
        of_one = list(hearings)
        for place in sorted(place for _, places in of_one for place in places):
            yield _owed_to(of_one[0][0], events[place])


def _subscribed(
    events: Sequence[Event], using: str, first: list[Subscriber] | None
) -> Iterator[tuple[Subscriber, list[int]]]:
    """Those who hear any of them by what they asked for, with the places of those."""
    bodies = _Bodies(events)
    by_kind: dict[Kind, list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        if not event.targeted:
            by_kind[kind_of(event)].append(place)
    for subscriber, kinds in heard(by_kind, using=using, first=first):
        places = [place for kind in kinds for place in by_kind[kind]]
        yield subscriber, bodies.that_meet(subscriber.conditions, places)


class _Bodies:
    """The bodies of a chunk of events, each read once, and only if somebody has conditions."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._told: dict[int, Any] = {}

    def that_meet(self, conditions: Mapping[str, Any], places: list[int]) -> list[int]:
        if not conditions:
            return places
        return [place for place in places if matches(conditions, self._read(place))]

    def _read(self, place: int) -> Any:
        if place not in self._told:
            self._told[place] = told_in(bytes(self._events[place].body))
        return self._told[place]


def _endpoint(told: tuple[Subscriber, list[int]]) -> int:
    return told[0].endpoint


def _owed_to(to: Subscriber, event: Event) -> Owed:
    return Owed(
        event=event.pk,
        event_type=event.event_type,
        endpoint=to.endpoint,
        state=to.state,
        moment=to.moment,
        sequence=sequence_of(to.ordered, event.key),
        format=to.format,
        not_before=event.deliver_at,
    )
