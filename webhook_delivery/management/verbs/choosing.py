"""How an operator names deliveries and endpoints: filters, numbers, names, moments."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.outcomes import Fault
from webhook_delivery.validation import validate_rate

FILTERS = ("state", "endpoint", "event_type", "because", "since")
"""The options that `add_filters` adds, and `chosen` reads."""


def add_filters(parser: CommandParser) -> None:
    parser.add_argument("--state", choices=Delivery.State.values, default="")
    parser.add_argument("--endpoint", default="", help="number or name")
    parser.add_argument("--type", dest="event_type", default="", help="event type, or order.*")
    parser.add_argument("--because", choices=[*map(str, Fault)], default="", help="why it failed")
    parser.add_argument("--since", type=moment, default=None, help="ISO 8601")


def chosen(
    database: str,
    *,
    state: str,
    endpoint: str,
    event_type: str,
    because: str,
    since: datetime | None,
    **rest: Any,
) -> DeliveryQuerySet:
    """The deliveries that fit every filter given."""
    deliveries = Delivery.objects.using(database).all()
    if state:
        deliveries = deliveries.filter(state=state)
    if endpoint:
        deliveries = deliveries.for_endpoint(the_endpoint(database, endpoint))
    if event_type:
        deliveries = deliveries.of_type(event_type)
    if because:
        deliveries = deliveries.because(because)
    return deliveries.since(since) if since else deliveries


def must_exist(database: str, names: list[str]) -> None:
    """Refuse names of deliveries and events that there are not."""
    deliveries = Delivery.objects.using(database)
    unknown = [name for name in names if not deliveries.named(name).exists()]
    if unknown:
        raise CommandError(f"There is no delivery or event {', '.join(unknown)}.")


def the_endpoint(database: str, named: str) -> Endpoint:
    """The one endpoint with this number or name."""
    endpoints = Endpoint.objects.using(database)
    found = list(endpoints.filter(pk=named) if named.isdecimal() else endpoints.filter(name=named))
    if not found:
        raise CommandError(f"No endpoint is called {named!r}.")
    if len(found) > 1:
        numbers = ", ".join(str(endpoint.pk) for endpoint in found)
        raise CommandError(f"{len(found)} endpoints are called {named!r}: use a number, {numbers}.")
    return found[0]


def positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise ArgumentTypeError("use a whole number above 0")
    return int(text)


def rate(text: str) -> float:
    """So many a second, as endpoints may have it."""
    try:
        validate_rate(wished := float(text))
    except (ValueError, ValidationError) as error:
        raise ArgumentTypeError("use a number above 0, as in 0.5 or 10") from error
    return wished


def moment(text: str) -> datetime:
    read = parse_datetime(text)
    if read is None:
        raise ArgumentTypeError("use ISO 8601, as in 2026-11-21T14:00+00:00")
    return make_aware(read) if is_naive(read) else read
