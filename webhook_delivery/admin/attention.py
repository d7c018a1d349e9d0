"""What an operator must know before anything else: each alarm in words, and where to see to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from webhook_delivery import health
from webhook_delivery.admin.failures import Line
from webhook_delivery.admin.text import visible
from webhook_delivery.clock import Now
from webhook_delivery.models import Endpoint, RedeliveryBatch
from webhook_delivery.recording import REFUSALS

NAMED = 5
"""So many endpoints, groups or redeliveries are named; of more it is said that there are."""
LOOKED_AT = 100

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


def of_endpoints(endpoints: QuerySet[Endpoint], link_to: LinkTo) -> Iterator[Alarm]:
    """Those that are sent nothing because they failed, not because a person wants it so."""
    refused = Q(state=Endpoint.State.OFF, state_reason__in=REFUSALS)
    broken = Q(state=Endpoint.State.ON, lane__openings__gt=0, lane__blocked_until__gt=Now())
    found = list(endpoints.filter(refused | broken).order_by("-updated_at", "pk")[: LOOKED_AT + 1])
    off = [endpoint for endpoint in found if endpoint.state == Endpoint.State.OFF]
    on = [endpoint for endpoint in found if endpoint.state == Endpoint.State.ON]
    if off:
        said = ngettext(
            "%(count)s endpoint is switched off: its receiver wants nothing more.",
            "%(count)s endpoints are switched off: their receivers want nothing more.",
            len(off),
        )
        yield _named(said, off, link_to)
    if on:
        said = ngettext(
            "%(count)s endpoint failed again and again, and is sent nothing for a while.",
            "%(count)s endpoints failed again and again, and are sent nothing for a while.",
            len(on),
        )
        yield _named(said, on, link_to)


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


def _named(said: str, endpoints: Sequence[Endpoint], link_to: LinkTo) -> Alarm:
    count = str(len(endpoints)) if len(endpoints) <= LOOKED_AT else f"{LOOKED_AT}+"
    names = [Name(visible(endpoint.name), link_to(endpoint)) for endpoint in endpoints[:NAMED]]
    return Alarm(said % {"count": count}, names=names, more=len(endpoints) > NAMED)
