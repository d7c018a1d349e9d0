"""What an operator must know before anything else: each alarm in words, and where to see to it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import NamedTuple

from django.db.models import (
    Case,
    Count,
    F,
    Model,
    Q,
    QuerySet,
    SmallIntegerField,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from webhook_delivery import health
from webhook_delivery.admin import words
from webhook_delivery.admin.endpoints.outlook import switched_off_in
from webhook_delivery.admin.groups.failures import Line
from webhook_delivery.admin.text import visible
from webhook_delivery.clock import Now
from webhook_delivery.models import Endpoint, EndpointQuerySet, RedeliveryBatch
from webhook_delivery.models.asking import OFF_BY_ITSELF
from webhook_delivery.models.lane import blocked, warned
from webhook_delivery.recording import REFUSALS

NAMED = 5
"""So many endpoints, groups or redeliveries are named; of more it is said that there are."""

LinkTo = Callable[[Model], str]


class Name(NamedTuple):
    """What an alarm is about, and its page, if the user may see one."""

    text: str
    link: str = ""


@dataclass(frozen=True)
class Alarm:
    """One thing that needs attention."""

    said: str
    remedy: str = ""
    names: Sequence[Name] = ()
    more: bool = False
    """Whether there are more than those named."""


def of_workers(using: str) -> Iterator[Alarm]:
    """Whether anything runs, and in time."""
    for illness in health.glance(using=using):
        yield Alarm(illness.seen, illness.remedy)


def of_endpoints(endpoints: EndpointQuerySet, link_to: LinkTo) -> Iterator[Alarm]:
    """Those that are sent nothing because they failed, not because a person wants it so."""
    found = list(_troubled(endpoints))
    for trouble, said in _SAID.items():
        if some := [each for each in found if _trouble_of(each) is trouble]:
            yield _named(said, some, link_to)


def of_batches(batches: Sequence[RedeliveryBatch], link_to: LinkTo) -> Iterator[Alarm]:
    """Redeliveries that paused themselves."""
    guarded = [batch for batch in batches if batch.state == RedeliveryBatch.State.GUARDED]
    for batch in guarded[:NAMED]:
        said = _("Redelivery #%(number)s paused itself: %(why)s")
        told = said % {"number": batch.pk, "why": visible(batch.state_reason)}
        yield Alarm(told, names=[Name(pgettext("verb", "Open"), link_to(batch))])


def of_groups(lines: Sequence[Line]) -> Iterator[Alarm]:
    """Kinds of failure that go on, and that nobody has seen to."""
    fresh = [line for line in lines if line.group.open and line.group.hour]
    if fresh:
        said = ngettext(
            "%(count)s kind of failure has made dead letters within the last hour.",
            "%(count)s kinds of failure have made dead letters within the last hour.",
            len(fresh),
        )
        names = [Name(line.name, line.list) for line in fresh[:NAMED]]
        yield Alarm(said % {"count": len(fresh)}, names=names, more=len(fresh) > NAMED)


class Trouble(enum.Enum):
    """Why an endpoint is sent nothing, or may soon be."""

    REFUSED = enum.auto()
    FAILED = enum.auto()
    WARNED = enum.auto()
    BROKEN = enum.auto()


_SAID: dict[Trouble, Callable[[int], str]] = {
    Trouble.REFUSED: partial(
        ngettext,
        "%(count)s endpoint is switched off: its receiver wants nothing more.",
        "%(count)s endpoints are switched off: their receivers want nothing more.",
    ),
    Trouble.FAILED: partial(
        ngettext,
        "%(count)s endpoint is switched off, for it failed for days; what it was owed is held.",
        "%(count)s endpoints are switched off, for they failed for days; what they were owed is "
        "held.",
    ),
    Trouble.WARNED: partial(
        ngettext,
        "%(count)s endpoint has failed for long; if that goes on, it is switched off.",
        "%(count)s endpoints have failed for long; if that goes on, they are switched off.",
    ),
    Trouble.BROKEN: partial(
        ngettext,
        "%(count)s endpoint failed again and again, and is sent nothing for a while.",
        "%(count)s endpoints failed again and again, and are sent nothing for a while.",
    ),
}


def _have() -> dict[Trouble, Q]:
    """Which endpoints have it; of one that has two, the first is told."""
    on = Q(state=Endpoint.State.ON)
    return {
        Trouble.REFUSED: OFF_BY_ITSELF & Q(state_reason__in=REFUSALS),
        Trouble.FAILED: OFF_BY_ITSELF & ~Q(state_reason__in=REFUSALS),
        Trouble.WARNED: on & warned("lane__"),
        Trouble.BROKEN: on & Q(lane__openings__gt=0) & blocked("lane__"),
    }


def _troubled(endpoints: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
    """The latest of each trouble, and of each how many have that; in one statement."""
    kinds = _have()
    cases = [When(have, then=Value(trouble.value)) for trouble, have in kinds.items()]
    rows = endpoints.filter(reduce(or_, kinds.values())).select_related("lane")
    told = rows.annotate(now=Now(), trouble=Case(*cases, output_field=SmallIntegerField()))
    latest = [F("updated_at").desc(), F("pk").asc()]
    placed = told.annotate(
        alike=Window(Count("pk"), partition_by=[F("trouble")]),
        place=Window(RowNumber(), partition_by=[F("trouble")], order_by=latest),
    )
    return placed.filter(place__lte=NAMED).order_by("place")


def _trouble_of(endpoint: Endpoint) -> Trouble:
    return Trouble(vars(endpoint)["trouble"])


def _name_of(endpoint: Endpoint, link_to: LinkTo) -> Name:
    """One that was warned of, with when it is switched off."""
    name = visible(endpoint.name)
    if _trouble_of(endpoint) is Trouble.WARNED:
        left = switched_off_in(endpoint.lane.traffic, vars(endpoint)["now"])
        name = f"{name} ({left})" if left else name
    return Name(name, link_to(endpoint))


def _named(said: Callable[[int], str], latest: Sequence[Endpoint], link_to: LinkTo) -> Alarm:
    """Say how many have the trouble that these have, and name these."""
    count: int = vars(latest[0])["alike"]
    names = [_name_of(endpoint, link_to) for endpoint in latest]
    return Alarm(said(count) % {"count": words.number(count)}, names=names, more=count > len(names))
