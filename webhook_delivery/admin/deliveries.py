"""Deliveries and dead letters: lists that find them, a page that explains one, and buttons."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from webhook_delivery.admin import acts, hints, page, times
from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.filters import (
    DeadFilter,
    EndpointFilter,
    EventTypeFilter,
    ReasonFilter,
    WhenFilter,
)
from webhook_delivery.models import DeadLetter, Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.models.event import event_of


class DeliveryList(ReadOnlyAdmin):
    """What both lists of deliveries share; the rights are those of `Delivery`."""

    tenant_field = "endpoint__tenant"
    search_fields = ["pk"]  # shows the field; `get_search_results` decides what it finds
    search_help_text = _("Exactly: a webhook-id (evt_…), a delivery's number, or an event type.")
    list_display_links = ["id", "event_type"]
    action_form = acts.ReasonedActionForm

    def get_queryset(self, request: HttpRequest) -> Any:
        deliveries = super().get_queryset(request)
        return deliveries.select_related("event", "endpoint").defer("event__body")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """One look-up by an index; free text would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if event_of(term) or term.isdecimal():
            return queryset.named(term), False
        return queryset.filter(event__event_type=term), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("webhook_delivery.view_delivery")

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhook_delivery.redeliver_delivery")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhook_delivery.discard_delivery")

    @admin.action(permissions=["redeliver"], description=_("Redeliver selected"))
    def redeliver_selected(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        acts.perform(acts.REDELIVER, request, queryset)

    @admin.action(permissions=["discard"], description=_("Discard selected"))
    def discard_selected(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        acts.perform(acts.DISCARD, request, queryset)

    @admin.action(permissions=["discard"], description=_("Restore selected"))
    def restore_selected(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        acts.perform(acts.RESTORE, request, queryset)

    @admin.display(description=_("event type"))
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.event_type

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
class DeliveryAdmin(DeliveryList):
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
    list_filter = ["state", EndpointFilter, EventTypeFilter, ReasonFilter, WhenFilter]
    actions = ["redeliver_selected"]
    fieldsets = [(None, {"fields": []})]  # the page has its own template

    def own_urls(self) -> list[URLPattern]:
        redeliver = path(
            "<path:object_id>/redeliver/",
            self.admin_site.admin_view(self.redeliver_view),
            name="webhook_delivery_delivery_redeliver",
        )
        return [redeliver]

    @method_decorator(require_POST)
    def redeliver_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Redeliver the one delivery that the button was on."""
        self.require(request, "redeliver_delivery")
        delivery = self.the(request, object_id)
        acts.perform(acts.REDELIVER, request, self.get_queryset(request).filter(pk=delivery.pk))
        return HttpResponseRedirect(self._page_of(request, delivery))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        delivery = context["original"]
        context |= page.context_of(delivery)
        context |= {
            "may_redeliver": self.has_redeliver_permission(request),
            "reason_form": acts.ReasonForm(auto_id="webhook_%s"),
            "event_link": self.link_to(request, delivery.event),
            "endpoint_link": self.link_to(request, delivery.endpoint),
            "before_link": context["before"] and self.link_to(request, context["before"]),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _page_of(self, request: HttpRequest, delivery: Delivery) -> str:
        kept: dict[str, Any] = {
            "preserved_filters": self.get_preserved_filters(request),
            "opts": self.opts,
        }
        return add_preserved_filters(kept, self.page_of(delivery))


@admin.register(DeadLetter)
class DeadLetterAdmin(DeliveryList):
    """A list of its own; the page is the delivery's."""

    list_display = [
        "id",
        "event_type",
        "receiver",
        "why",
        "attempts_made",
        "ended",
        "created",
    ]
    list_filter = [DeadFilter, EndpointFilter, EventTypeFilter, ReasonFilter, WhenFilter]
    actions = ["redeliver_selected", "discard_selected", "restore_selected"]

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        name = "admin:webhook_delivery_delivery_change"
        return HttpResponseRedirect(
            reverse(name, args=[object_id], current_app=self.admin_site.name)
        )
