"""What happened and what people did: events and console actions, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.filters import TypeFilter
from webhook_delivery.admin.text import pretty
from webhook_delivery.models import ConsoleAction, Event
from webhook_delivery.models.event import event_of


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    tenant_field = "tenant"
    list_display = ["webhook_id", "event_type", "tenant", "source", "created_at"]
    list_filter = [TypeFilter]
    sortable_by = []
    search_fields = ["pk"]  # shows the field; `get_search_results` decides what it finds
    search_help_text = _("Exactly: a webhook-id (evt_…), or an event type.")
    readonly_fields = ["webhook_id", "deliveries", "body_shown"]
    fields = [
        "webhook_id",
        "event_type",
        "tenant",
        "idempotency_key",
        "key",
        "source",
        "created_at",
        "deliveries",
        "content_type",
        "body_shown",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).defer("body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """One look-up by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if event := event_of(term):
            return queryset.filter(pk=event), False
        return queryset.filter(event_type=term), False

    @admin.display(description="webhook-id")
    def webhook_id(self, event: Event) -> str:
        return event.webhook_id

    @admin.display(description=_("deliveries"))
    def deliveries(self, event: Event) -> str:
        where = reverse(
            "admin:webhook_delivery_delivery_changelist", current_app=self.admin_site.name
        )
        words = _("Deliveries of this event")
        return format_html('<a href="{}?q={}">{}</a>', where, event.webhook_id, words)

    @admin.display(description=_("body"))
    def body_shown(self, event: Event) -> str:
        body = bytes(event.body)
        shown = pretty(body)
        size = _("%(bytes)s bytes; only the start is shown") if shown.cut else _("%(bytes)s bytes")
        return format_html(
            '<pre class="webhook-text">{}</pre><p class="help">{}</p>',
            shown.text,
            size % {"bytes": len(body)},
        )


@admin.register(ConsoleAction)
class ConsoleActionAdmin(ReadOnlyAdmin):
    list_display = ["id", "verb", "count", "by_name", "reason", "created_at"]
    fields = ["verb", "by_name", "reason", "count", "deliveries", "created_at"]
