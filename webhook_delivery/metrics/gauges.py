"""What the rows say now: ages, backlogs, states; each part by few statements, served by indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from math import inf
from typing import NamedTuple

from django.db.models import F, Min, Sum
from django.utils import timezone

from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.counting import count_each
from webhook_delivery.figures import DAY
from webhook_delivery.models import Delivery, Endpoint, EndpointStat, Lane
from webhook_delivery.pulse import feel
from webhook_delivery.version import __version__

COUNTED = 100_000
"""Of deliveries in one state, no more are counted."""
NEVER = inf
"""The age of what has not happened yet: so that it is above every threshold."""

State = Delivery.State


class Gauge(NamedTuple):
    """A number that goes up and down: what it means, and the names of its labels."""

    help: str
    labels: tuple[str, ...] = ()


class Reading(NamedTuple):
    """What a gauge says, for one set of values of its labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


Part = Callable[[str], Iterator[Reading]]
"""Reads some gauges from the database of an alias."""

GAUGES: Mapping[str, Gauge] = {
    "webhook_delivery_info": Gauge("Always 1; which version says this.", ("version",)),
    "webhook_delivery_drain_age_seconds": Gauge(
        "Since when a drain last began; +Inf if none ever did."
    ),
    "webhook_delivery_sweep_age_seconds": Gauge(
        "Since when the sweep, or a drain in its place, last began; +Inf if neither ever did."
    ),
    "webhook_delivery_sweep_stand_ins": Gauge(
        "How many drains have stood in for the sweep since it last ran."
    ),
    "webhook_delivery_ring_age_seconds": Gauge(
        "For how long the doorbell has rung unanswered; 0 if it does not ring."
    ),
    "webhook_delivery_due_age_seconds": Gauge(
        "For how long the oldest delivery has been due that nothing holds up; 0 if none is."
    ),
    "webhook_delivery_due_deliveries": Gauge(
        f"Pending deliveries whose time has come; at most {COUNTED} are counted."
    ),
    "webhook_delivery_deliveries": Gauge(
        f"Deliveries that are not done, by state; at most {COUNTED} of each are counted.",
        ("state",),
    ),
    "webhook_delivery_endpoints": Gauge("Endpoints, by state.", ("state",)),
    "webhook_delivery_endpoints_switched_off": Gauge(
        "Endpoints that are off, and that no person has switched off."
    ),
    "webhook_delivery_endpoints_failing": Gauge(
        "Endpoints that are on, and that nothing has reached since an attempt failed."
    ),
    "webhook_delivery_breakers_open": Gauge(
        "Endpoints that are on, and whose breaker is open or half open."
    ),
    "webhook_delivery_breaker_open_age_seconds": Gauge(
        "For how long the endpoint has failed that has failed longest of these; 0 if none has."
    ),
    "webhook_delivery_endpoint_day_attempts": Gauge(
        "Attempts of the last 24 hours, by endpoint: only if METRICS_ENDPOINTS asks for it.",
        ("endpoint", "outcome"),
    ),
}


def of_pulse(using: str) -> Iterator[Reading]:
    """Whether anything runs, and in time."""
    pulse = feel(using=using)
    yield Reading("webhook_delivery_info", 1, (__version__,))
    yield Reading("webhook_delivery_drain_age_seconds", _age(pulse.drained))
    yield Reading("webhook_delivery_sweep_age_seconds", _age(pulse.swept))
    yield Reading("webhook_delivery_sweep_stand_ins", pulse.stand_ins)
    yield Reading("webhook_delivery_ring_age_seconds", pulse.ringing or 0.0)
    yield Reading("webhook_delivery_due_age_seconds", max(0.0, pulse.late or 0.0))


def of_backlog(using: str) -> Iterator[Reading]:
    """How much waits, is being sent, or needs a person."""
    rows = Delivery.objects.using(using)
    states = (State.PENDING, State.SENDING, State.HELD, State.DEAD)
    asked = {str(state): rows.filter(state=state) for state in states}
    counted = count_each({"": rows.fallen_due(), **asked}, cap=COUNTED, using=using)
    yield Reading("webhook_delivery_due_deliveries", counted.pop("").of)
    for state, number in counted.items():
        yield Reading("webhook_delivery_deliveries", number.of, (state,))


def of_endpoints(using: str) -> Iterator[Reading]:
    """How many are on, and how those fare."""
    rows = Endpoint.objects.using(using)
    failing = rows.on().filter(lane__failing_since__isnull=False)
    broken = Lane.objects.using(using).filter(openings__gt=0, endpoint__state=Endpoint.State.ON)
    states = {str(state): rows.filter(state=state) for state in Endpoint.State}
    others = {"off itself": rows.off_by_itself(), "failing": failing, "broken": broken}
    counted = count_each({**states, **others}, cap=COUNTED, using=using)
    for state in states:
        yield Reading("webhook_delivery_endpoints", counted[state].of, (state,))
    yield Reading("webhook_delivery_endpoints_switched_off", counted["off itself"].of)
    yield Reading("webhook_delivery_endpoints_failing", counted["failing"].of)
    yield Reading("webhook_delivery_breakers_open", counted["broken"].of)
    first = broken.aggregate(first=Min("failing_since"), now=Min(Now()))
    yield Reading("webhook_delivery_breaker_open_age_seconds", _between(**first))


def of_busiest(using: str) -> Iterator[Reading]:
    """How the busiest endpoints fared, by name; those of one name are added up."""
    most = settings.METRICS_ENDPOINTS
    if not most:
        return
    rows = EndpointStat.objects.using(using).since(DAY.begins(timezone.now())).order_by()
    sums = {each: Sum(each) for each in ("delivered", "failed", "dead")}
    named = rows.values_list("endpoint__name").annotate(
        tried=Sum(F("delivered") + F("failed")),
        **{f"all_{name}": summed for name, summed in sums.items()},
    )
    for name, _tried, *numbers in named.order_by("-tried", "endpoint__name")[:most]:
        for outcome, number in zip(sums, numbers, strict=True):
            yield Reading("webhook_delivery_endpoint_day_attempts", number, (name, outcome))


PARTS: Mapping[str, Part] = {
    "pulse": of_pulse,
    "backlog": of_backlog,
    "endpoints": of_endpoints,
    "busiest": of_busiest,
}
"""What is read by itself: what takes too long, or fails, does not keep the rest from being told."""


def _age(seconds: float | None) -> float:
    return NEVER if seconds is None else max(0.0, seconds)


def _between(first: datetime | None, now: datetime | None) -> float:
    return (now - first).total_seconds() if first and now else 0.0
