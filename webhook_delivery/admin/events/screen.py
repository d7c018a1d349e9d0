"""Events: a list that tells what became of each, and a page that can send one elsewhere."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.deliveries.surroundings import deliveries_of
from webhook_delivery.admin.events.erasing import ErasingAdmin
from webhook_delivery.admin.events.forwarding import ForwardingAdmin
from webhook_delivery.admin.filters import SpanFilter, TenantFilter, TypeFilter
from webhook_delivery.admin.payload import HIDDEN, Payload
from webhook_delivery.admin.text import visible
from webhook_delivery.admin.times import element
from webhook_delivery.catalogue import entry_of
from webhook_delivery.erasing import why_hollow
from webhook_delivery.models import Delivery, Event, SearchKey
from webhook_delivery.models.event import event_of, first_at
from webhook_delivery.references import is_reference
from webhook_delivery.searching import key_and_value
from webhook_delivery.tenancy import may, of_tenants, tenants_of
from webhook_delivery.validation import EVENT_TYPE

OWED = 50
"""How many of an event's deliveries its page shows."""


class HappenedFilter(SpanFilter):
    title = _("when it happened")
    parameter_name = "when"

    def since(self, queryset: Any, moment: datetime) -> Any:
        """Ids are in the order of time, and in the index that the list is read by."""
        return queryset.filter(pk__gte=first_at(moment), created_at__gte=moment)


class EventList(ChangeList):
    """A page of events, each with what became of it."""

    model_admin: EventAdmin

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        events = list(self.result_list)
        rows = Delivery.objects.using(self.root_queryset.db).filter(event__in=events)
        fates: dict[Any, list[tuple[str, int]]] = defaultdict(list)
        counted = rows.order_by("state").values("event", "state").annotate(count=Count("pk"))
        for event, state, count in counted.values_list("event", "state", "count"):
            fates[event].append((state, count))
        where = self.model_admin.deliveries_of(request)
        for event in events:
            event.fates = fates[event.pk]
            event.where = where and f"{where}?q={event.webhook_id}"
        self.result_list = events


@admin.register(Event)
class EventAdmin(ErasingAdmin, ForwardingAdmin, ReadOnlyAdmin):
    tenant_field = "tenant"
    guarded = "body"
    list_display = ["webhook_id", "type_shown", "tenant_shown", "fate", "source_shown", "happened"]
    list_filter = [TypeFilter, TenantFilter, HappenedFilter]
    sortable_by = []
    search_fields = ["pk"]  # shows the field; `get_search_results` decides what it finds
    search_help_text = _(
        "Exactly: a webhook-id (evt_…), an event type, key:value, or shop.order:7."
    )
    fieldsets = [(None, {"fields": []})]  # the page has its own template

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("body")

    def get_ordering(self, request: HttpRequest) -> Any:
        """Of one type as its index has them."""
        asked = request.GET.get("event_type") or request.GET.get("q") or ""
        one_type = EVENT_TYPE.fullmatch(asked.strip()) is not None
        return ["-created_at", "-pk"] if one_type else super().get_ordering(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """One look-up by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if event := event_of(term):
            return queryset.filter(pk=event), False
        if found := key_and_value(term):
            return queryset.filter(pk__in=SearchKey.events_with(*found)), False
        if is_reference(term):
            return queryset.filter(source=term), False
        return queryset.filter(event_type=term), False

    def deliveries_of(self, request: HttpRequest) -> str:
        """Where deliveries are listed; empty if that is not for who asks."""
        there = self.admin_site.is_registered(Delivery) and may(request, "view_delivery")
        return self.list_of(Delivery) if there else ""

    def payload_of(self, row: Event) -> Payload:
        return Payload(row.webhook_id, row.content_type, bytes(row.body))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        event: Event = context["original"]
        event.event_type = visible(event.event_type)  # the admin puts it into its own titles
        context |= self._facts(request, event) | {"subtitle": str(event)}
        return super().render_change_form(request, context, *args, **kwargs)

    def _facts(self, request: HttpRequest, event: Event) -> dict[str, Any]:
        rows = Delivery.objects.using(event._state.db).select_related("endpoint")
        rows = of_tenants(rows, tenants_of(request), by="endpoint__tenant")
        owed, more = deliveries_of(
            event.pk, rows, lambda row: self.link_to(request, row), most=OWED
        )
        texts = ("event_type", "tenant", "idempotency_key", "key", "source", "content_type")
        return {
            "event": event,
            "entry": entry_of(event.event_type),
            "texts": {name: visible(getattr(event, name) or "") for name in texts},
            "search_keys": self._search_keys(request, event),
            "owed": owed,
            "more_owed": more,
            "may_see_owed": may(request, "view_delivery"),
            "may_forward": may(request, "redeliver_delivery") and not event.hollow,
            "may_erase": may(request, "erase_event") and event.erased_at is None,
            "payload": self._payload_shown(request, event),
            "hidden": why_hollow(event) or HIDDEN,
            "links": self._links(request, event),
        }

    def _search_keys(self, request: HttpRequest, event: Event) -> list[tuple[str, str]]:
        """Their values are out of the body, and for who may see that."""
        if not may(request, "view_payload"):
            return []
        return [(each.key, visible(each.value)) for each in event.search_keys.all()]

    def _payload_shown(self, request: HttpRequest, event: Event) -> Payload | None:
        shown = may(request, "view_payload") and not event.hollow
        return self.payload_of(event) if shown else None

    def _links(self, request: HttpRequest, event: Event) -> dict[str, str]:
        where = self.deliveries_of(request)
        return {
            "payload": self.url_of(event, "payload"),
            "payload_text": self.url_of(event, "payload_text"),
            "forward": self.url_of(event, "forward"),
            "erase": self.url_of(event, "erase"),
            "all": where and f"{where}?q={event.webhook_id}",
        }

    @admin.display(description="webhook-id")
    def webhook_id(self, event: Event) -> str:
        return event.webhook_id

    @admin.display(description=_("event type"))
    def type_shown(self, event: Event) -> str:
        return visible(event.event_type)

    @admin.display(description=_("tenant"))
    def tenant_shown(self, event: Event) -> str:
        return visible(event.tenant)

    @admin.display(description=_("source object"))
    def source_shown(self, event: Event) -> str:
        return visible(event.source)

    @admin.display(description=_("happened"))
    def happened(self, event: Event) -> str:
        return element(event.created_at)

    @admin.display(description=_("deliveries"))
    def fate(self, event: Event) -> str:
        """How many of its deliveries are in which state; a link to them."""
        facts = vars(event)
        if not facts["fates"]:
            named = gettext("none: nobody who was named was on")
            return named if event.targeted else gettext("none: nobody was subscribed")
        states = dict(Delivery.State.choices)
        words = [(count, states.get(state, state)) for state, count in facts["fates"]]
        told = format_html_join(", ", "{} {}", words)
        return format_html('<a href="{}">{}</a>', facts["where"], told) if facts["where"] else told
