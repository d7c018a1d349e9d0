"""Turns the parameters of a list of deliveries into a selection that a redelivery can keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from webhook_delivery.admin.filters import SPANS
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.references import number_in
from webhook_delivery.selecting import (
    FATES,
    LARGEST_STATUS,
    MOST_IDS,
    InvalidSelection,
    right_for,
    selection_of,
)
from webhook_delivery.tenancy import of_tenants

ALIASES = {
    "state__exact": "state",
    "endpoint__id__exact": "endpoint",
    "endpoint__exact": "endpoint",
}
UNSEEN = {"p", "o", "e", "all", "_facets", "_changelist_filters"}
"""Parameters of lists that change nothing in what they show."""
TYPED = {"endpoint", "event_type", "q"}
"""What people type, with blanks around it."""
SINCE = {"when": "since", "died": "died_since"}
"""What lists call otherwise than selections do, for they know a few spans only."""
KNOWN = {"endpoint", "reason", "status", "event_type", "q", "batch", "ids", "state", "fate", *SINCE}


class Meaningless(ValueError):
    """A parameter has no meaning here; the message says so to the operator."""


@dataclass(frozen=True)
class Choice:
    """What a list's parameters choose; or why they choose nothing."""

    selection: dict[str, Any] = field(default_factory=dict)
    wrong: str = ""
    right: str = "redeliver_unfiltered"
    """The permission that it takes to redeliver it."""

    def __bool__(self) -> bool:
        return not self.wrong


def choice_of(
    parameters: QueryDict, *, at: datetime, tenants: Sequence[str] | None, using: str
) -> Choice:
    """
    Read the parameters of a list, as they are understood at that moment.

    What ends later is not chosen. tenants: those of which the user sees something; None: all.
    """
    given = {name: value for name, value in _given(parameters) if value}
    right = right_of(parameters, at=at)
    try:
        filters = dict(_filters(given, at))
        if endpoint := given.get("endpoint"):
            filters["endpoints"] = _endpoints(endpoint, tenants, using)
        return Choice(selection_of(**filters, tenants=tenants, died_until=at), right=right)
    except (Meaningless, InvalidSelection) as error:
        return Choice(wrong=str(error), right=right)


def right_of(parameters: QueryDict, *, at: datetime) -> str:
    """The permission that it takes to redeliver what these parameters choose."""
    given = dict(_given(parameters))
    spans = {SINCE[name]: SPANS.get(given[name]) for name in SINCE if name in given}
    moments = {name: at - span[1] if span else None for name, span in spans.items()}
    return right_for({**given, **moments}, at=at)


def _given(parameters: QueryDict) -> Iterator[tuple[str, str]]:
    for name in parameters:
        if name not in UNSEEN:
            value = str(parameters[name])
            yield ALIASES.get(name, name), value.strip() if name in TYPED else value


def _filters(given: dict[str, str], at: datetime) -> Iterator[tuple[str, Any]]:
    if unknown := sorted(given.keys() - KNOWN):
        raise Meaningless(_("A redelivery cannot be narrowed by “%s”.") % unknown[0])
    if any("\0" in value for value in given.values()):
        raise Meaningless(_("Nothing is called so."))
    yield "state", _states(given)
    for name, read in _READ.items():
        if value := given.get(name):
            yield read(value, at)
    if batch := given.get("batch"):
        yield "batch", _batch(batch, given.get("fate", ""))
    for name in ("event_type", "q"):
        yield name, given.get(name, "")


def _states(given: dict[str, str]) -> list[str]:
    """Those that can be redelivered, of those that the list shows."""
    usual = ",".join(Delivery.REDELIVERABLE) if given.get("ids") else Delivery.State.DEAD.value
    asked = set(given.get("state", usual).split(","))
    if given.get("reason") or given.get("status"):
        asked &= set(Delivery.UNDELIVERED)
    states = [str(state) for state in Delivery.REDELIVERABLE if state in asked]
    if not states:
        raise Meaningless(_("Only what is dead or delivered can be redelivered."))
    return states


def _endpoints(value: str, tenants: Sequence[str] | None, using: str) -> list[int]:
    """By number, or all that are called so; of those that the user may know of."""
    number = number_in(value)
    named = {"name": value} if number is None else {"pk": number}
    rows = of_tenants(Endpoint.objects.using(using).filter(**named), tenants)
    return list(rows.values_list("pk", flat=True))


def _status(value: str, at: datetime) -> tuple[str, int]:
    status = number_in(value)
    if status is None or status > LARGEST_STATUS:
        raise Meaningless(_("“%s” is no status of an answer.") % value)
    return "status", status


def _span(name: str, value: str, at: datetime) -> tuple[str, datetime]:
    if value not in SPANS:
        raise Meaningless(_("“%s” is no span of time that lists know.") % value)
    return name, at - SPANS[value][1]


def _ids(value: str, at: datetime) -> tuple[str, list[int]]:
    texts = [text for text in value.split(",") if text]
    ids = [number for text in texts if (number := number_in(text)) is not None]
    if len(ids) < len(texts):
        raise Meaningless(_("These are no numbers of deliveries."))
    if len(texts) > MOST_IDS:
        text = _("No more than %s can be chosen one by one; narrow the list by its filters.")
        raise Meaningless(text % MOST_IDS)
    return "ids", ids


def _batch(value: str, fate: str) -> tuple[int, str]:
    batch = number_in(value)
    if batch is None or fate not in ("", *FATES):
        raise Meaningless(_("“%s” is no redelivery.") % value)
    return batch, fate


_READ = {
    "reason": lambda value, at: ("reason", value),
    "status": _status,
    "when": lambda value, at: _span(SINCE["when"], value, at),
    "died": lambda value, at: _span(SINCE["died"], value, at),
    "ids": _ids,
}
