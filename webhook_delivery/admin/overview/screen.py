"""The console's first page: what needs attention, how much there is of what, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import router
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from webhook_delivery import figures, grouping
from webhook_delivery.admin import words
from webhook_delivery.admin.base import PageAdmin
from webhook_delivery.admin.groups import failures
from webhook_delivery.admin.overview import attention
from webhook_delivery.admin.paging import CAP
from webhook_delivery.admin.text import visible
from webhook_delivery.charts import percent
from webhook_delivery.counting import Number, count_each
from webhook_delivery.figures import DAY, SPANS, Figures, Point, Span
from webhook_delivery.models import (
    DeadLetter,
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    EndpointQuerySet,
    FailureGroup,
    Overview,
    RedeliveryBatch,
)
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import of_tenants, tenants_of

SHOWN, LOOKED_AT = 10, 50
"""So many groups are shown, of those that nobody has seen to among so many."""
SLOWEST, RECENT = 5, 5
RANGES: dict[str, Promise] = {"1h": _("1 h"), "24h": _("24 h"), "7d": _("7 d")}


@dataclass(frozen=True)
class Tile:
    """A number, what it counts, and the list of it."""

    label: str
    number: str
    link: str
    note: str = ""
    note_link: str = ""
    series: Sequence[Point] = ()


@dataclass(frozen=True)
class Seen:
    """Whose rows are looked at, and where."""

    using: str
    tenants: Sequence[str] | None
    span: Span


@admin.register(Overview)
class OverviewAdmin(PageAdmin):
    """One page."""

    def get_urls(self) -> list[URLPattern]:
        """None of those of a list of rows: there are none."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="webhook_delivery_overview_changelist")]

    @method_decorator(require_safe)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page, in eight statements."""
        self.require_view(request)
        using, name = router.db_for_read(Delivery), request.GET.get("span", "")
        span = SPANS[name if name in RANGES else "24h"]
        seen = Seen(using, tenants_of(request), span)
        try:
            with patience(using=using):
                context = self._context(request, seen)
        except TooSlow:
            said = gettext("The numbers took too long to read, and are not shown.")
            self.message_user(request, said, messages.WARNING)
            context = {"stopped": True, "alarms": list(attention.of_workers(using))}
        return self.page(
            request,
            "overview/overview.html",
            title=gettext("Overview"),
            is_list=True,
            span=span,
            ranges=RANGES.items(),
            now=timezone.now(),
            **context,
        )

    def _context(self, request: HttpRequest, seen: Seen) -> dict[str, Any]:
        counts, link_to = _counts(seen), partial(self.link_to, request)
        week = bool(counts["beyond"].of)
        found = grouping.groups(using=seen.using, tenants=seen.tenants, most=LOOKED_AT, week=week)
        lines = failures.lines(request, found, site=self.admin_site.name, week=week)
        batches = self._batches(request)
        fared = figures.totals(seen.span, using=seen.using, tenants=seen.tenants)
        return {
            "alarms": [
                *attention.of_workers(seen.using),
                *attention.of_endpoints(_endpoints(seen), link_to),
                *attention.of_batches(batches, link_to),
                *attention.of_groups(lines),
            ],
            "tiles": self._tiles(counts, fared),
            "lines": [line for line in lines if line.group.open][:SHOWN],
            "groups_url": self.list_of(FailureGroup),
            "fared": fared,
            "slowest": self._slowest(request, seen),
            "batches": self._recent(request, batches),
            "empty": not counts["endpoints"].of,
            "welcome": self._welcome(request),
        }

    def _tiles(self, counts: dict[str, Number], fared: Figures) -> list[Tile]:
        deliveries, dead = self.list_of(Delivery), self.list_of(DeadLetter)
        said = {name: words.counted(number) for name, number in counts.items()}
        span = fared.span.name
        sent = gettext("Delivered (%(span)s)") % {"span": RANGES[span]}
        return [
            Tile(gettext("Due now"), said["due"], f"{deliveries}?state=pending&due=now"),
            Tile(
                gettext("Waiting for a retry"),
                said["later"],
                f"{deliveries}?state=pending&due=later",
            ),
            Tile(
                gettext("Dead letters"),
                said["dead"],
                dead,
                gettext("+%(number)s in the last hour") % {"number": said["died"]},
                f"{dead}?died=1h",
            ),
            Tile(gettext("Held"), said["held"], f"{deliveries}?state=held"),
            Tile(
                sent,
                words.number(fared.delivered),
                f"{deliveries}?state=delivered&when={span}",
                _shared(fared),
                series=fared.bars,
            ),
        ]

    def _slowest(self, request: HttpRequest, seen: Seen) -> list[dict[str, Any]]:
        found = figures.slowest(SLOWEST, using=seen.using, tenants=seen.tenants)
        return [
            {
                "name": visible(slow.name),
                "link": self.link_to(request, Endpoint(pk=slow.endpoint, name=slow.name)),
                "p95": slow.p95,
            }
            for slow in found
        ]

    def _batches(self, request: HttpRequest) -> list[RedeliveryBatch]:
        """The latest, and before them all that paused themselves; none for who may see none."""
        if not self.admin_site.is_registered(RedeliveryBatch):
            return []
        its = self.admin_site.get_model_admin(RedeliveryBatch)
        if not its.has_view_permission(request):
            return []
        guarded = When(state=RedeliveryBatch.State.GUARDED, then=Value(0))
        rows = its.get_queryset(request).annotate(last=Case(guarded, default=Value(1)))
        return list(rows.order_by("last", "-pk")[: attention.NAMED + RECENT])

    def _recent(
        self, request: HttpRequest, batches: Sequence[RedeliveryBatch]
    ) -> list[dict[str, Any]]:
        latest = sorted(batches, key=lambda batch: batch.pk, reverse=True)[:RECENT]
        return [{"batch": batch, "link": self.link_to(request, batch)} for batch in latest]

    def _welcome(self, request: HttpRequest) -> dict[str, str]:
        """Where endpoints are added, and where they are tested, if the user may."""
        if not self.admin_site.is_registered(Endpoint):
            return {}
        its = self.admin_site.get_model_admin(Endpoint)
        add = reverse("admin:webhook_delivery_endpoint_add", current_app=self.admin_site.name)
        return {
            "add": add if its.has_add_permission(request) else "",
            "list": self.list_of(Endpoint) if its.has_view_permission(request) else "",
        }


def _shared(fared: Figures) -> str:
    """How much of what was sent that is, and since when: a span begins with a whole hour."""
    if fared.share is None:
        return ""
    pattern = "H:i" if fared.span.hours <= DAY.hours else "Y-m-d H:i"
    since = formats.date_format(timezone.localtime(fared.since), pattern)
    said = gettext("%(share)s of the attempts since %(when)s")
    return said % {"share": percent(fared.share), "when": since}


def _endpoints(seen: Seen) -> EndpointQuerySet:
    return of_tenants(Endpoint.objects.using(seen.using), seen.tenants)


def _deliveries(seen: Seen) -> DeliveryQuerySet:
    rows = Delivery.objects.using(seen.using)
    return of_tenants(rows, seen.tenants, by="endpoint__tenant")


def _counts(seen: Seen) -> dict[str, Number]:
    """All in one statement."""
    rows, an_hour_ago = _deliveries(seen), timezone.now() - timedelta(hours=1)
    kinds: dict[str, QuerySet[Any]] = {
        "due": rows.due(),
        "later": rows.later(),
        "dead": rows.dead(),
        "died": rows.dead().filter(ended_at__gte=an_hour_ago),
        "held": rows.held(),
        "endpoints": _endpoints(seen),
        "beyond": grouping.beyond(using=seen.using),
    }
    return count_each(kinds, cap=CAP, using=seen.using)
