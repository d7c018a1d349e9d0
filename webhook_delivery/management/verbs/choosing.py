"""How an operator names deliveries and endpoints: filters, numbers, names, standard input."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery.gradual import MOST
from webhook_delivery.management.verbs.reading import moment, number, states, within
from webhook_delivery.management.verbs.verb import misused
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Event
from webhook_delivery.models.event import event_of
from webhook_delivery.outcomes import Fault
from webhook_delivery.references import number_in
from webhook_delivery.selecting import (
    FATES,
    LARGEST_STATUS,
    InvalidSelection,
    selected,
    selection_of,
)

STANDARD = "-"
"""The name of the standard input or output, in the place of others."""
FILTERS = (
    "state", "endpoint", "event_type", "reason", "status", "tenant", "since", "until",
    "died_since", "died_until", "q", "source", "batch", "fate",
)  # fmt: skip
"""The options that `add_filters` adds, and `chosen` reads."""
AT_ONCE = 500
"""So many names are looked up together."""


def add_filters(parser: CommandParser) -> None:
    """Add the filters of the console's lists, by the same names."""
    add = parser.add_argument_group("filters; all that are given must fit").add_argument
    add(
        "--state",
        type=states,
        metavar="STATE",
        help=f"{', '.join(Delivery.State.values)}; or some: dead,held",
    )
    add("--endpoint", metavar="NAME", help="number or name")
    add("--type", "--event-type", dest="event_type", metavar="TYPE", help="order.paid, or order.*")
    faults = [*map(str, Fault)]
    add("--reason", "--because", choices=faults, metavar="REASON", help=", ".join(faults))
    add(
        "--status",
        type=within(0, LARGEST_STATUS),
        metavar="CODE",
        help="of the last answer; 0: none came",
    )
    add("--tenant", metavar="TENANT", help="that the event was published for")
    add("--since", type=moment, metavar="WHEN", help="created since: ISO 8601, or 24h, 7d")
    add("--until", type=moment, metavar="WHEN", help="created before")
    add("--died-since", type=moment, metavar="WHEN", help="ended since")
    add("--died-until", type=moment, metavar="WHEN", help="ended by")
    add("--q", metavar="TERM", help="what the console's search takes: a webhook-id, key:value …")
    add("--source", metavar="REFERENCE", help="what the event is about: shop.order:7")
    add("--batch", type=number, metavar="N", help="sent by redelivery N")
    add("--fate", choices=FATES, metavar="FATE", help=f"of what it sent: {', '.join(FATES)}")


def add_names(parser: CommandParser) -> None:
    """Add deliveries by name, from the command line or from the standard input."""
    said = "numbers of deliveries, or webhook-ids; -: read them from the standard input"
    parser.add_argument("deliveries", nargs="*", metavar="DELIVERY", help=said)


def add_who(parser: CommandParser) -> None:
    """Add who asks and why, which are kept."""
    who = by_default()
    parser.add_argument("--by", default=who, metavar="NAME", help="who asks (default: %(default)s)")
    parser.add_argument("--why", default="", metavar="REASON", help="the reason to keep")


def by_default() -> str:
    """Who is at the shell, as far as the system knows."""
    try:
        return f"shell: {getpass.getuser()}"
    except (KeyError, OSError):  # in a container, a number need not have a name
        return "shell"


def filtered(options: dict[str, Any]) -> bool:
    """Whether any filter was given."""
    return any(options[name] is not None for name in FILTERS)


def selection(database: str, *, usual: str, **options: Any) -> dict[str, Any]:
    """The filters as a redelivery of many keeps them; `usual`: the state if none was given."""
    given = {name: options[name] for name in FILTERS if options[name] is not None}
    given["state"] = given.get("state", usual)
    if "endpoint" in given:
        given["endpoint"] = the_endpoint(database, given["endpoint"]).pk
    batch, fate = given.pop("batch", None), given.pop("fate", "")
    if fate and batch is None:
        raise misused("--fate needs --batch: of what that redelivery sent.")
    try:
        return selection_of(**given, batch=None if batch is None else (batch, fate))
    except InvalidSelection as error:
        raise misused(str(error)) from None


def chosen(database: str, **options: Any) -> DeliveryQuerySet:
    """The deliveries that fit every filter given."""
    wanted = options.get("state")
    its = selection(database, usual="dead", **{**options, "state": None})
    del its["state"]  # a redelivery knows two of them only
    return selected({**its, "state": wanted} if wanted else its, using=database)


def meant(database: str, deliveries: list[str], *, usual: str, **options: Any) -> DeliveryQuerySet:
    """The deliveries that are named; or else all that fit the filters, in the usual state."""
    if not deliveries:
        return chosen(database, **{**options, "state": options["state"] or [usual]})
    return chosen(database, **options).named(*names_in(database, deliveries))


def names_in(database: str, given: list[str]) -> list[str]:
    """The names, those from the standard input among them; refuse any that nobody has."""
    read = sys.stdin.read().split() if STANDARD in given else []
    names = [one for name in given for one in (read if name == STANDARD else [name])]
    if len(names) > MOST:
        raise misused(f"No more than {MOST:,} can be named; choose them by a filter.")
    if unknown := [name for some in _parts(names) for name in _unknown(database, some)]:
        raise misused(f"There is no delivery or event {', '.join(unknown)}.")
    return names


def _parts(names: list[str]) -> Iterator[list[str]]:
    yield from (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))


def _unknown(database: str, names: list[str]) -> Iterable[str]:
    rows = Delivery.objects.using(database).named(*names).values_list("pk", "event_id")
    known = {one for row in rows for one in row}
    for name in names:
        if (event_of(name) or number_in(name)) not in known:
            yield name


def the_endpoint(database: str, named: str) -> Endpoint:
    """The one endpoint with this number or name."""
    endpoints = Endpoint.objects.using(database)
    pk = number_in(named)
    found = list(endpoints.filter(name=named) if pk is None else endpoints.filter(pk=pk))
    if not found:
        raise misused(f"No endpoint is called {named!r}.")
    if len(found) > 1:
        numbers = ", ".join(str(endpoint.pk) for endpoint in found)
        raise misused(f"{len(found)} endpoints are called {named!r}: use a number, {numbers}.")
    return found[0]


def the_event(database: str, named: str) -> Event:
    """The event with this webhook-id, without its body."""
    rows = Event.objects.using(database).defer("body")
    found = rows.filter(pk=wanted).first() if (wanted := event_of(named)) else None
    if found is None:
        raise misused(f"There is no event {named!r}.")
    return found
