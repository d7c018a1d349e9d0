"""Deliveries and dead letters: lists that find them, a page that explains one, and buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin import hints, times, words
from webhook_delivery.admin.deliveries import attempts
from webhook_delivery.admin.deliveries.buttons import DeliveryPage
from webhook_delivery.admin.deliveries.hiding import Hiding
from webhook_delivery.admin.deliveries.lists import Offering, Tool
from webhook_delivery.admin.deliveries.narrowing import (
    BatchFilter,
    DueFilter,
    StatesFilter,
    StatusFilter,
)
from webhook_delivery.admin.filters import (
    DeadFilter,
    DiedFilter,
    EndpointFilter,
    EventTypeFilter,
    ReasonFilter,
    WhenFilter,
)
from webhook_delivery.models import DeadLetter, Delivery, Endpoint
from webhook_delivery.selecting import found


class DeliveryList(Offering):
    """What both lists of deliveries share; the rights are those of `Delivery`."""

    tenant_field = "endpoint__tenant"
    search_fields = ["pk"]  # shows the field; `get_search_results` decides what it finds
    search_help_text = _(
        "Exactly: a webhook-id (evt_…), a delivery's number, an event type, key:value, or "
        "shop.order:7."
    )
    list_display_links = ["id", "event_type"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("endpoint")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """One look-up by an index; free text would read the whole table."""
        term = search_term.strip()
        return (found(queryset, term) if term else queryset), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("webhook_delivery.view_delivery")

    @admin.display(description=_("endpoint"))
    def receiver(self, delivery: Delivery) -> str:
        endpoint = delivery.endpoint
        if endpoint.state == Endpoint.State.ON:
            return endpoint.name
        return f"{endpoint.name} ({endpoint.get_state_display()})"

    @admin.display(description=_("reason"))
    def why(self, delivery: Delivery) -> Promise | str:
        return hints.reason_of(delivery)

    @admin.display(description=_("due"))
    def due(self, delivery: Delivery) -> str:
        return times.element(delivery.due_at)

    @admin.display(description=_("ended"))
    def ended(self, delivery: Delivery) -> str:
        return times.element(delivery.ended_at)

    @admin.display(description=_("created"))
    def created(self, delivery: Delivery) -> str:
        return times.element(delivery.created_at)


@admin.register(Delivery)
class DeliveryAdmin(DeliveryPage, DeliveryList):
    list_display = [
        "id",
        "event_type",
        "receiver",
        "state",
        "why",
        "attempts_made",
        "due",
        "created",
    ]
    list_filter = [
        StatesFilter,
        EndpointFilter,
        EventTypeFilter,
        ReasonFilter,
        WhenFilter,
        DueFilter,
        StatusFilter,
        BatchFilter,
    ]
    actions = ["redeliver_selected", "retry_selected_now", "export_selected"]
    usual_state = ",".join(Delivery.REDELIVERABLE)
    none_at_all = _("No deliveries. What is published for an endpoint will appear here.")
    none_match = _("No deliveries match these filters.")


@admin.register(DeadLetter)
class DeadLetterAdmin(Hiding, DeliveryList):
    """A list of its own; the page is the delivery's."""

    change_list_template = "admin/webhook_delivery/delivery/change_list.html"
    ordering = ["-ended_at", "-pk"]
    sortable_by = []
    list_filter = [
        DeadFilter,
        EndpointFilter,
        EventTypeFilter,
        ReasonFilter,
        DiedFilter,
        WhenFilter,
        StatusFilter,
        BatchFilter,
    ]
    actions = ["redeliver_selected", "discard_selected", "restore_selected", "export_selected"]
    usual_state = Delivery.State.DEAD.value
    none_at_all = _("No dead letters. Deliveries that use up all their attempts will appear here.")
    none_match = _("No dead letters match these filters.")

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = ["id", "died", "receiver", "event_type", "why", "attempts", "tried_for"]
        may_redeliver = self.has_redeliver_permission(request) and self.confirm_url(QueryDict())
        return [*shown, "again"] if may_redeliver else shown

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return attempts.RedeliveredList

    def tools(self, request: HttpRequest) -> list[Tool]:
        groups = self.group_tools(request)
        return [*self.redeliver_tools(request), *groups, *super().tools(request)]

    @admin.display(description=_("died"))
    def died(self, delivery: Delivery) -> str:
        return times.element(delivery.ended_at)

    @admin.display(description=_("attempts"))
    def attempts(self, delivery: Delivery) -> str:
        return attempts.made(delivery)

    @admin.display(description=_("tried for"))
    def tried_for(self, delivery: Delivery) -> str:
        """From when it was owed until it died."""
        if delivery.ended_at is None:
            return ""
        return words.span((delivery.ended_at - delivery.created_at).total_seconds())

    @admin.display(description=_("redeliver"))
    def again(self, delivery: Delivery) -> str:
        if delivery.state not in Delivery.REDELIVERABLE:
            return ""
        query = QueryDict(mutable=True)
        query["ids"] = str(delivery.pk)
        return format_html('<a href="{}">{}</a>', self.confirm_url(query), gettext("Redeliver…"))

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        name = "admin:webhook_delivery_delivery_change"
        return HttpResponseRedirect(
            reverse(name, args=[object_id], current_app=self.admin_site.name)
        )
