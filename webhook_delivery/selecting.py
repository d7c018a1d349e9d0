"""Which deliveries a redelivery of many is about: filters that can be kept, and read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from webhook_delivery.counting import Number
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.outcomes import Fault

COUNTED = 100_000
"""How many are counted exactly; more are “100,000 or more”."""


class InvalidSelection(ValueError):
    """A filter has no meaning; the message names it."""


def selection_of(
    *,
    state: str = "dead",
    endpoint: int | None = None,
    reason: str = "",
    status: int | None = None,
    event_type: str = "",
    tenant: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    ids: Iterable[int] | None = None,
) -> dict[str, Any]:
    """
    Write filters down as `RedeliveryBatch.selection` keeps them. What is not given does not count.

    state: dead or delivered. endpoint: its number. reason: a fault. status: of the last answer.
    event_type: exactly, or `order.*`. since, until: when they were created. ids: only these.
    Raises InvalidSelection.
    """
    if state not in (Delivery.State.DEAD, Delivery.State.DELIVERED):
        raise InvalidSelection(f"Only what is dead or delivered can be redelivered, not {state!r}.")
    if reason and reason not in set(Fault):
        raise InvalidSelection(f"{reason!r} is no reason; it is one of {', '.join(Fault)}.")
    given: dict[str, Any] = {
        "state": str(state),
        "endpoint": endpoint,
        "reason": str(reason),
        "status": status,
        "event_type": event_type,
        "tenant": tenant,
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
        "ids": None if ids is None else sorted(set(ids)),
    }
    return {name: value for name, value in given.items() if value not in (None, "")}


def selected(selection: Mapping[str, Any], *, using: str) -> DeliveryQuerySet:
    """Read it again; in no particular order."""
    rows = Delivery.objects.using(using).filter(state=selection["state"])
    for name, value in selection.items():
        rows = _NARROWING[name](rows, value)
    return rows


def count(rows: DeliveryQuerySet) -> Number:
    """How many there are, counted so far and no farther."""
    number = rows.order_by().values("pk")[: COUNTED + 1].count()
    return Number(min(number, COUNTED), number > COUNTED)


def off(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those whose endpoints are not on: they would be left."""
    return rows.exclude(endpoint__in=Endpoint.objects.using(rows.db).on().values("pk"))


_NARROWING = {
    "state": lambda rows, value: rows,
    "endpoint": lambda rows, value: rows.filter(endpoint=value),
    "reason": lambda rows, value: rows.because(value),
    "status": lambda rows, value: rows.filter(last_status=value),
    "event_type": lambda rows, value: rows.of_type(value),
    "tenant": lambda rows, value: rows.filter(event__tenant=value),
    "since": lambda rows, value: rows.filter(created_at__gte=datetime.fromisoformat(value)),
    "until": lambda rows, value: rows.filter(created_at__lt=datetime.fromisoformat(value)),
    "ids": lambda rows, value: rows.filter(pk__in=value),
}
