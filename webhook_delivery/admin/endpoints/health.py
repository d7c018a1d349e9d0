"""How one endpoint fares: its figures, its breaker, what waits for it, and what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import router
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import explaining, figures
from webhook_delivery.admin import words
from webhook_delivery.admin.endpoints import outlook
from webhook_delivery.admin.endpoints.recovering import confirm_url
from webhook_delivery.admin.endpoints.subject import EndpointPages, Tab, asks
from webhook_delivery.admin.filters import SPANS
from webhook_delivery.admin.paging import CAP
from webhook_delivery.admin.text import visible
from webhook_delivery.clock import Now
from webhook_delivery.counting import count_each
from webhook_delivery.models import DeadLetter, Delivery, Endpoint, Lane
from webhook_delivery.models.lane import longest_pause
from webhook_delivery.pacing import Traffic, believed
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import may

NEWEST = 1_000
"""Of so many deliveries it is told of which types they are."""
USUAL = "24h"

State = Delivery.State


class Waiting(NamedTuple):
    """How many deliveries are in a state, and where they are listed."""

    label: str | Promise
    number: str
    url: str


class Answers(NamedTuple):
    """How often the receiver answered so."""

    answer: str | Promise
    number: str
    share: float


class OfType(NamedTuple):
    """What became of the newest deliveries of one event type."""

    event_type: str
    delivered: int
    dead: int
    others: int


class HealthAdmin(EndpointPages):
    """The page that says how an endpoint fares."""

    def own_urls(self) -> list[URLPattern]:
        return [*self.addresses({"health": self.health_view}), *super().own_urls()]

    @asks
    def health_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.endpoint(request, object_id)
        span = figures.SPANS.get(request.GET.get("range", USUAL), figures.SPANS[USUAL])
        facts = figures.figures(endpoint.pk, span, using=router.db_for_read(Endpoint))
        return self.about(
            request,
            endpoint,
            "health.html",
            tab="health",
            title=gettext("Health of %(endpoint)s") % {"endpoint": endpoint},
            tools=self.tools(request, endpoint),
            test=self.test(request, endpoint),
            figures=facts,
            ranges=_ranges(span.name),
            answers=_answers(facts.answers),
            types=_types(endpoint),
            newest=NEWEST,
            waiting=self._waiting(request, endpoint),
            confirm_url=self._confirm_url(request, endpoint),
            **_traffic(endpoint),
        )

    def _waiting(self, request: HttpRequest, endpoint: Endpoint) -> list[Waiting]:
        using = router.db_for_read(Delivery)
        rows = Delivery.objects.using(using).for_endpoint(endpoint)
        kinds = {
            "due": (_("due now"), rows.due(), "due=now"),
            **{
                str(state): (state.label, rows.filter(state=state), f"state={state}")
                for state in (State.PENDING, State.SENDING, State.HELD, State.DEAD)
            },
        }
        queries = {name: some for name, (_label, some, _query) in kinds.items()}
        counted = count_each(queries, cap=CAP, using=using)
        sees = may(request, "view_delivery")
        return [
            Waiting(
                label, words.counted(counted[name]), self._list(endpoint, query) if sees else ""
            )
            for name, (label, _rows, query) in kinds.items()
        ]

    def _list(self, endpoint: Endpoint, query: str) -> str:
        listed = DeadLetter if query == f"state={State.DEAD}" else Delivery
        return f"{self.list_of(listed)}?endpoint={endpoint.pk}&{query}"

    def _confirm_url(self, request: HttpRequest, endpoint: Endpoint) -> str:
        where = confirm_url(self.admin_site.name)
        allowed = may(request, "bulk_redeliver_delivery") and where
        return f"{where}?endpoint={endpoint.pk}" if allowed else ""


def _ranges(here: str) -> list[Tab]:
    return [Tab(f"?range={name}", SPANS[name][0], name == here) for name in figures.SPANS]


def _traffic(endpoint: Endpoint) -> dict[str, Any]:
    """What the drains remember of it, by the database's clock."""
    using = router.db_for_read(Lane)
    lane = Lane.objects.using(using).filter(pk=endpoint.pk).annotate(now=Now()).first()
    now = vars(lane)["now"] if lane else timezone.now()
    traffic = believed(lane.traffic if lane else Traffic(), longest_pause(), now)
    return {
        "failures": words.number(traffic.failures),
        "breaker": outlook.breaker_said(traffic, now),
        "blocked_until": traffic.blocked_until if traffic.blocked(now) else None,
        "limits": outlook.limits_said(endpoint),
        "next": list(outlook.next_said(endpoint, traffic, now)),
        "state_reason": visible(endpoint.state_reason),
    }


def _answers(answers: Mapping[str, int]) -> list[Answers]:
    whole = sum(answers.values())
    return [
        Answers(_answer(name), words.number(number), number / whole)
        for name, number in answers.items()
    ]


def _answer(name: str) -> str | Promise:
    if name.isdecimal():
        return f"HTTP {name}"
    return explaining.LABELS.get(name, visible(name) or _("none"))


def _types(endpoint: Endpoint) -> list[OfType] | None:
    """Of which types the newest deliveries are, the most frequent first; None: it took too long."""
    using = router.db_for_read(Delivery)
    newest = Delivery.objects.using(using).for_endpoint(endpoint).order_by("-pk")
    columns = newest.values_list("event_type", "state")[:NEWEST]
    try:
        with patience(using=using):
            found = Counter(columns)
    except TooSlow:
        return None
    types = Counter(event_type for event_type, _state in found.elements())
    return [
        OfType(
            visible(event_type),
            delivered := found[event_type, State.DELIVERED],
            dead := found[event_type, State.DEAD],
            number - delivered - dead,
        )
        for event_type, number in types.most_common()
    ]
