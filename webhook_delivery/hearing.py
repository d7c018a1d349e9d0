"""Finds who hears which kinds of event: one query for many kinds, and memory for a page of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from webhook_delivery.clock import Now
from webhook_delivery.models import Subscription
from webhook_delivery.outcomes import patterns_matching

PAGE = 1000
"""How many subscriptions are read at once."""


class Kind(NamedTuple):
    """What decides who hears an event."""

    tenant: str
    event_type: str


class Subscriber(NamedTuple):
    """An endpoint and one of its subscriptions, as they are at `moment` (database time)."""

    endpoint: int
    state: str
    ordered: bool
    format: str
    subscription: int
    tenant: str
    pattern: str
    moment: datetime
    conditions: Mapping[str, Any] = MappingProxyType({})
    """What it asks of a body, as `conditions` has them."""


def first_page(kinds: Collection[Kind], *, using: str) -> list[Subscriber]:
    """Read the first who may hear any of these kinds; nobody does if there are none."""
    return _read(_subscribers(kinds, using))


def anybody(event_types: Collection[str], *, using: str) -> bool:
    """Whether any of these types may be heard at all, by whatever tenant; one query."""
    patterns = {pattern for one in event_types for pattern in patterns_matching(one)}
    return Subscription.objects.using(using).filter(pattern__in=patterns).exists()


def kinds_heard(kinds: Collection[Kind], first: Collection[Subscriber]) -> set[Kind]:
    """Which of them somebody hears, by the first page of those who may; all if it is full."""
    asked = {(row.tenant, row.pattern) for row in first}
    return {
        kind
        for kind in kinds
        if len(first) == PAGE
        or any((kind.tenant, pattern) in asked for pattern in patterns_matching(kind.event_type))
    }


def heard(
    kinds: Collection[Kind], *, using: str, first: list[Subscriber] | None = None
) -> Iterator[tuple[Subscriber, set[Kind]]]:
    """
    Tell each endpoint once, in the order of their ids, with those of the kinds that it hears.

    `first` is the first page, if it was read before.
    """
    covered: dict[tuple[str, str], list[Kind]] = defaultdict(list)
    for kind in kinds:
        for pattern in patterns_matching(kind.event_type):
            covered[kind.tenant, pattern].append(kind)
    for _, rows in groupby(_pages(kinds, using, first), attrgetter("endpoint")):
        own = list(rows)
        hears = (covered.get((row.tenant, row.pattern), ()) for row in own)
        yield own[0], set().union(*hears)


def values_of(kind: Kind) -> set[object]:
    """What the query asks for because of this kind: its tenant, and the patterns that cover it."""
    return {(kind.tenant,), *patterns_matching(kind.event_type)}


def _pages(
    kinds: Collection[Kind], using: str, first: list[Subscriber] | None
) -> Iterator[Subscriber]:
    page = first_page(kinds, using=using) if first is None else first
    while page:
        yield from page
        more = len(page) == PAGE
        page = _read(_subscribers(kinds, using).filter(_after(page[-1]))) if more else []


def _read(rows: QuerySet[Subscription, Any]) -> list[Subscriber]:
    return [Subscriber._make(row) for row in rows[:PAGE]]


def _subscribers(kinds: Collection[Kind], using: str) -> QuerySet[Subscription, Any]:
    """Any of the tenants with any of the patterns; which belong together, `heard` tells."""
    patterns = {pattern for kind in kinds for pattern in patterns_matching(kind.event_type)}
    rows = Subscription.objects.using(using).filter(
        pattern__in=patterns, endpoint__tenant__in={kind.tenant for kind in kinds}
    )
    columns = (
        "endpoint",
        "endpoint__state",
        "endpoint__ordered",
        "endpoint__format",
        "pk",
        "endpoint__tenant",
        "pattern",
        Now(),
        "endpoint__conditions",
    )
    return rows.order_by("endpoint", "pk").values_list(*columns)


def _after(last: Subscriber) -> Q:
    rest = Q(endpoint=last.endpoint, pk__gt=last.subscription)
    return Q(endpoint__gt=last.endpoint) | rest
