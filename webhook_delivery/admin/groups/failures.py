"""What the console says of groups of dead letters: their names, and where their numbers lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from webhook_delivery.admin import hints, words
from webhook_delivery.admin.text import visible
from webhook_delivery.grouping import Failure, Group, SeenTo
from webhook_delivery.models import Delivery
from webhook_delivery.tenancy import may


@dataclass(frozen=True)
class Figure:
    """A number, and the list of the dead letters that it counts."""

    text: str
    link: str


@dataclass(frozen=True)
class Line:
    """A group as a line of a table."""

    group: Group
    endpoint: str
    what: str
    """Its reason, or its event type; empty if it is about an endpoint only."""
    figures: list[Figure]
    """Of the last hour, day and week, and of all."""
    list: str
    redeliver: str
    """Where it is asked whether to; empty for who may not."""
    query: str
    """The group, as parameters of the pages about it."""

    @property
    def seen_to(self) -> SeenTo | None:
        """Who has seen to it, with what they wrote made harmless."""
        its = self.group.seen_to
        return its and its._replace(by=visible(its.by), note=visible(its.note))

    @property
    def name(self) -> str:
        if self.endpoint and self.what:
            return _("%(endpoint)s: %(what)s") % {"endpoint": self.endpoint, "what": self.what}
        return self.endpoint or self.what


def lines(
    request: HttpRequest, groups: Iterable[Group], *, site: str, week: bool = False
) -> list[Line]:
    """
    Say it of each group.

    site: the admin's name. week: whether only the last seven days have been counted.
    """
    lists = reverse("admin:webhook_delivery_deadletter_changelist", current_app=site)
    asks = reverse("admin:webhook_delivery_redeliverybatch_confirm", current_app=site)
    allowed = may(request, "bulk_redeliver_delivery")
    return [_line(group, lists, asks if allowed else "", week) for group in groups]


def name_of(failure: Failure, endpoint: str) -> str:
    """“acme-prod: HTTP 503”."""
    what = what_of(failure.reason, failure.status)
    return _("%(endpoint)s: %(what)s") % {"endpoint": visible(endpoint), "what": what}


def what_of(reason: str, status: int | None) -> str:
    """A reason in two or three words; its status is told wherever there was an answer."""
    said = str(hints.reason_of(Delivery(reason=reason, last_status=status)))
    if not status or str(status) in said:
        return said
    return _("%(reason)s, HTTP %(status)s") % {"reason": said, "status": status}


def _line(group: Group, lists: str, asks: str, week: bool) -> Line:
    chosen = _parameters(group)
    query = urlencode(chosen)
    spans = {
        "1h": group.hour,
        "24h": group.day,
        "7d": group.week,
        "7d" if week else "": group.total,
    }
    return Line(
        group=group,
        endpoint=visible(group.name),
        what=_what(group),
        figures=[_figure(number, lists, chosen, span) for span, number in spans.items()],
        list=f"{lists}?{query}",
        redeliver=f"{asks}?{query}" if asks else "",
        query=query,
    )


def _parameters(group: Group) -> dict[str, Any]:
    """The group as a list's filters know it."""
    given = {
        "endpoint": group.endpoint,
        "reason": group.reason,
        "status": group.status,
        "event_type": group.event_type,
    }
    return {name: value for name, value in given.items() if value is not None}


def _what(group: Group) -> str:
    if group.reason is not None:
        return what_of(group.reason, group.status)
    return visible(group.event_type or "")


def _figure(number: int, lists: str, chosen: dict[str, Any], span: str) -> Figure:
    query = chosen | ({"died": span} if span else {})
    return Figure(words.number(number), f"{lists}?{urlencode(query)}")
