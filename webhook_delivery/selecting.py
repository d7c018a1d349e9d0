"""Which deliveries a redelivery of many is about: filters that can be kept, and read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F

from webhook_delivery.models import (
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    RedeliveryBatch,
    Transition,
)
from webhook_delivery.models.event import event_of
from webhook_delivery.outcomes import Fault
from webhook_delivery.references import is_reference, number_in
from webhook_delivery.searching import key_and_value

COUNTED = 100_000
"""How many are counted exactly; more are “100,000 or more”."""
LARGEST_STATUS = 999
FATES = ("delivered", "failed", "waiting", "left", "ahead")
"""What may have become of what a redelivery of many is about: see `of_batch`."""
MOST_IDS = 200
"""So many can be chosen one by one; more are chosen by a filter."""
NARROWING = frozenset(
    {
        "endpoint", "endpoints", "reason", "status", "event_type", "event", "tenant", "q", "source",
        "batch",
    }
)  # fmt: skip
"""The filters that choose a part, besides moments."""
LONGEST_SPAN = timedelta(days=30)
"""What began within it is a part, too; the lists of the console know no longer one."""


class InvalidSelection(ValueError):
    """A filter has no meaning; the message names it."""


def selection_of(
    *,
    state: str | Iterable[str] = "dead",
    endpoint: int | None = None,
    endpoints: Iterable[int] | None = None,
    reason: str = "",
    status: int | None = None,
    event_type: str = "",
    event: UUID | None = None,
    tenant: str = "",
    tenants: Iterable[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    died_since: datetime | None = None,
    died_until: datetime | None = None,
    q: str = "",
    source: str = "",
    batch: tuple[int, str] | None = None,
    ids: Iterable[int] | None = None,
) -> dict[str, Any]:
    """
    Write filters down as `RedeliveryBatch.selection` keeps them. What is not given does not count.

    state: dead or delivered, or both. endpoint, endpoints: their numbers. reason: a fault.
    status: of the last answer, 0 if none came. event_type: exactly, or `order.*`.
    tenant: of the event; tenants: of the endpoints.
    since, until: when they were created; died_since, died_until: when they ended.
    q: what the console's search takes. source: what the events are about.
    batch: the redelivery that sent them, and which of those.
    ids: only these. Raises InvalidSelection.
    """
    if reason and reason not in set(Fault):
        raise InvalidSelection(f"{reason!r} is no reason; it is one of {', '.join(Fault)}.")
    given: dict[str, Any] = {
        "state": _redeliverable(state),
        "endpoint": endpoint,
        "endpoints": _sorted(endpoints),
        "reason": str(reason),
        "status": status,
        "event_type": event_type,
        "event": event and event.hex,
        "tenant": tenant,
        "tenants": _sorted(tenants),
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
        "died_since": died_since and died_since.isoformat(),
        "died_until": died_until and died_until.isoformat(),
        "q": q,
        "source": source,
        "batch": batch and list(batch),
        "ids": _sorted(ids),
    }
    return {name: value for name, value in given.items() if value not in (None, "")}


def right_for(filters: Mapping[str, Any], *, at: datetime) -> str:
    """
    Name the permission that it takes to redeliver what these filters of `selection_of` choose.

    Of moments only the beginning narrows, and only if it is not long ago: all the rest may be all.
    at: now, or when that was asked for.
    """
    if filters.get("ids"):
        return "redeliver_delivery"
    named = any(filters.get(name) not in (None, "", "*") for name in NARROWING)
    begins = [filters[name] for name in ("since", "died_since") if filters.get(name)]
    recent = any(moment >= at - LONGEST_SPAN for moment in begins)
    return "bulk_redeliver_delivery" if named or recent else "redeliver_unfiltered"


def _redeliverable(state: str | Iterable[str]) -> str | list[str]:
    states = [state] if isinstance(state, str) else sorted(set(state))
    wrong = [each for each in states if each not in Delivery.REDELIVERABLE]
    if wrong or not states:
        said = wrong[0] if wrong else ""
        raise InvalidSelection(f"Only what is dead or delivered can be redelivered, not {said!r}.")
    return str(states[0]) if len(states) == 1 else [str(each) for each in states]


def _sorted(values: Iterable[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(set(values))


def selected(selection: Mapping[str, Any], *, using: str | None) -> DeliveryQuerySet:
    """Read it again; in no particular order."""
    rows = Delivery.objects.using(using)
    for name, value in selection.items():
        rows = _NARROWING[name](rows, value)
    return rows


def meant(batch: RedeliveryBatch, *, using: str | None) -> DeliveryQuerySet:
    """Of what was selected, what had ended when it was asked for, and has not been sent since."""
    rows = selected(batch.selection, using=using)
    return rows.filter(pk__lte=batch.cutoff, ended_at__lte=batch.created_at)


def found(rows: DeliveryQuerySet, term: str) -> DeliveryQuerySet:
    """
    Narrow rows to what a term names, by one look-up in an index.

    term: a webhook-id, a delivery's number, an event type, `key:value` of a search key, or
        `shop.order:7`, what the event is about.
    """
    term = term.strip()
    if "\0" in term:  # PostgreSQL takes none in a text
        return rows.none()
    if event_of(term) or number_in(term) is not None:
        return rows.named(term)
    if pair := key_and_value(term):
        return rows.with_key(*pair)
    if is_reference(term):
        return rows.about(term)
    return rows.filter(event_type=term)


def of_batch(rows: DeliveryQuerySet, batch: int, which: str = "") -> DeliveryQuerySet:
    """
    Narrow rows to those of a redelivery of many.

    which: all that it sent, if empty; `delivered`, `failed` or `waiting` of those; what it had to
    leave (`left`); or what it has not reached (`ahead`).
    """
    if which in ("left", "ahead"):
        return _unsent(rows, batch, which)
    sent = Transition.objects.using(_named(rows)).filter(batch=batch)
    tried = sent.filter(delivery__attempts_made__gt=F("after")).values("delivery")
    rows = rows.filter(pk__in=sent.values("delivery"))
    ended = rows.exclude(state__in=[Delivery.State.DELIVERED, Delivery.State.SENDING])
    fates = {
        "": rows,
        "delivered": rows.filter(state=Delivery.State.DELIVERED),
        "failed": ended.filter(pk__in=tried),
        "waiting": rows.sending() | ended.exclude(pk__in=tried),
    }
    return fates.get(which, rows.none())


def _unsent(rows: DeliveryQuerySet, batch: int, which: str) -> DeliveryQuerySet:
    using = _named(rows)
    chosen = RedeliveryBatch.objects.using(using).filter(pk=batch).first()
    if chosen is None or chosen.kind != RedeliveryBatch.Kind.AGAIN:
        return rows.none()
    whole = meant(chosen, using=using)
    sent = Transition.objects.using(using).filter(batch=batch).values("delivery")
    ahead = whole.filter(pk__gt=chosen.cursor)
    left = whole.filter(pk__lte=chosen.cursor).exclude(pk__in=sent)
    return rows.filter(pk__in=(ahead if which == "ahead" else left).values("pk"))


def _named(rows: DeliveryQuerySet) -> str | None:
    """The database that was named; None: it is the routers' choice, to read and then to change."""
    using: str | None = vars(rows)["_db"]
    return using


def on(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those whose endpoints are on."""
    return rows.filter(endpoint__in=Endpoint.objects.using(rows.db).on().values("pk"))


def off(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """Those whose endpoints are not on: they would be left."""
    return rows.exclude(endpoint__in=Endpoint.objects.using(rows.db).on().values("pk"))


def _in_state(rows: DeliveryQuerySet, state: str | list[str]) -> DeliveryQuerySet:
    return rows.filter(state=state) if isinstance(state, str) else rows.filter(state__in=state)


_moment = datetime.fromisoformat

_NARROWING: dict[str, Callable[[DeliveryQuerySet, Any], DeliveryQuerySet]] = {
    "state": _in_state,
    "endpoint": lambda rows, value: rows.filter(endpoint=value),
    "endpoints": lambda rows, value: rows.filter(endpoint__in=value),
    "reason": lambda rows, value: rows.because(value),
    "status": lambda rows, value: rows.filter(last_status=value or None),
    "event_type": lambda rows, value: rows.of_type(value),
    "event": lambda rows, value: rows.filter(event=UUID(value)),
    "tenant": lambda rows, value: rows.filter(event__tenant=value),
    "tenants": lambda rows, value: rows.filter(endpoint__tenant__in=value),
    "since": lambda rows, value: rows.filter(created_at__gte=_moment(value)),
    "until": lambda rows, value: rows.filter(created_at__lt=_moment(value)),
    "died_since": lambda rows, value: rows.filter(ended_at__gte=_moment(value)),
    "died_until": lambda rows, value: rows.filter(ended_at__lte=_moment(value)),
    "q": found,
    "source": lambda rows, value: rows.about(value),
    "batch": lambda rows, value: of_batch(rows, *value),
    "ids": lambda rows, value: rows.filter(pk__in=value),
}
