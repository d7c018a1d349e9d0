"""Finds the endpoints that events name as their targets, and refuses those that cannot be one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from django.db.models import Value

from webhook_delivery.clock import Now
from webhook_delivery.composing import InvalidEvent
from webhook_delivery.hearing import Subscriber
from webhook_delivery.models import Endpoint, Event

AT_ONCE = 900
"""How many are read at once: SQLite before 3.32 takes 999 values."""


def named(events: Sequence[Event], *, using: str) -> dict[int, Subscriber]:
    """
    Read the endpoints that these events name, as they are now; no query if none is named.

    Their conditions are left out: who is named receives it whatever is in it.
    Raises InvalidEvent for one that does not exist, or is not of its event's tenant.
    """
    wanted = sorted({target for event in events for target in event.targets})
    pages = (wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE))
    found = {row.endpoint: row for page in pages for row in _read(page, using)}
    for event in events:
        _require_all(event, found)
    return found


def told(
    events: Sequence[Event], named: Mapping[int, Subscriber]
) -> Iterator[tuple[Subscriber, list[int]]]:
    """Tell each of them once, in the order of their ids, with the places of its events."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, event in enumerate(events):
        for target in event.targets:
            places[target].append(place)
    return ((named[target], places[target]) for target in sorted(places))


def _read(ids: Sequence[int], using: str) -> list[Subscriber]:
    rows = Endpoint.objects.using(using).filter(pk__in=ids)
    columns = ("pk", "state", "ordered", "format", Value(0), "tenant", Value(""), Now())
    return [Subscriber(*row) for row in rows.values_list(*columns)]


def _require_all(event: Event, found: Mapping[int, Subscriber]) -> None:
    for target in event.targets:
        if target not in found or found[target].tenant != event.tenant:
            raise InvalidEvent(
                f"{event.event_type!r}: there is no endpoint {target} of the event's tenant "
                f"({event.tenant!r})."
            )
