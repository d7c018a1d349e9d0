"""Endpoints: the list that says how they fare, and the form that says where and how to send."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import charts, signing
from webhook_delivery.admin import times, words
from webhook_delivery.admin.acts import ReasonedActionForm
from webhook_delivery.admin.endpoints.health import HealthAdmin
from webhook_delivery.admin.endpoints.recovering import RecoveryAdmin
from webhook_delivery.admin.endpoints.roster import DeadLettersFilter, EndpointList
from webhook_delivery.admin.endpoints.secrets import SecretsAdmin
from webhook_delivery.admin.endpoints.switching import SwitchesAdmin
from webhook_delivery.admin.endpoints.wire import (
    EndpointForm,
    SubscriptionForm,
    SubscriptionFormSet,
)
from webhook_delivery.admin.filters import TenantFilter
from webhook_delivery.admin.text import visible
from webhook_delivery.catalogue import entries
from webhook_delivery.endpoints import record
from webhook_delivery.models import DeadLetter, Delivery, Endpoint, Secret, Subscription
from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.standing import Standing
from webhook_delivery.tenancy import may, tenants_of

KNOWN_TYPES = "webhook-event-types"
"""The id of the list that browsers offer types from, beside the fields for subscriptions."""


class SubscriptionInline(admin.TabularInline):
    model = Subscription
    form = SubscriptionForm
    formset = SubscriptionFormSet
    extra = 1

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """A column's heading is no label of the fields below it."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs |= {"aria-label": field.label, "list": KNOWN_TYPES}
        return field


@admin.register(Endpoint)
class EndpointAdmin(HealthAdmin, RecoveryAdmin, SwitchesAdmin, SecretsAdmin):
    tenant_field = "tenant"
    change_form_template = "admin/webhook_delivery/endpoint/change_form.html"
    list_display = [
        "name",
        "state_badge",
        "day",
        "dead",
        "oldest_due",
        "address",
        "tenant",
        "deliveries",
    ]
    list_filter = ["state", DeadLettersFilter, TenantFilter]
    sortable_by = ["name"]
    search_fields = ["name", "url", "tenant"]
    guarded = "url"
    form = EndpointForm
    inlines = [SubscriptionInline]
    action_form = ReasonedActionForm
    actions = ["switch_on", "pause", "switch_off"]
    editable = [
        "name",
        "url",
        "tenant",
        "owner",
        "contact",
        "conditions",
        "timeout_seconds",
        "retry_schedule",
        "max_in_flight",
        "rate_per_second",
        "ordered",
        "format",
        "headers",
        "ca_bundle",
        "client_certificate",
        "tls_minimum",
    ]
    readonly_fields = ["address", "state_badge", "deliveries", "created_at", "updated_at"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndpointList

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        if obj is None:
            return [*self.editable]
        hidden = "address" if self._sees_urls(request) else "url"
        return [name for name in [*self.editable, *self.readonly_fields] if name != hidden]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.may_reveal = self.has_reveal_permission(request)  # of this request: made anew for each
        form.tenants = tenants_of(request)
        return form

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        sees = self._sees_urls(request)
        return [name for name in self.search_fields if name != "url" or sees]

    def _sees_urls(self, request: HttpRequest) -> bool:
        """Path and query hold tokens: they are for who may see them, or could change them."""
        return may(request, "view_endpoint_url") or self.has_change_permission(request)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["known_types"] = {"id": KNOWN_TYPES, "patterns": _known_patterns()}
        if endpoint := context.get("original"):
            context["tabs"] = self.tabs(request, endpoint, "settings")
            context["tools"] = self.tools(request, endpoint)
            context["test"] = self.test(request, endpoint)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        if change:
            # Only what was edited: the state may have been switched since the row was read.
            columns = {field.name for field in obj._meta.fields} & set(form.changed_data)
            obj.save(update_fields=[*columns, "updated_at"])
        else:
            super().save_model(request, obj, form, change)
            Secret.keep(obj, signing.generate_secret())
        form.seal(obj)
        self._record(request, "change_endpoint" if change else "create_endpoint", obj)

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        self._record(request, "delete_endpoint", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        with transaction.atomic(using=router.db_for_write(Endpoint)):
            for endpoint in queryset:
                self._record(request, "delete_endpoint", endpoint)
            super().delete_queryset(request, queryset)

    def _record(self, request: HttpRequest, verb: str, endpoint: Endpoint) -> None:
        """Django's own line in the history of the endpoint goes with its user."""
        record(verb, endpoint, by=request.user, using=router.db_for_write(Endpoint))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say that there are deliveries; Django would list every one of them."""
        owed = Delivery.objects.filter(endpoint__in=list(objs))
        if not owed.exists():
            return super().get_deleted_objects(objs, request)
        why = _("deliveries, which keep their endpoint; switch it off instead")
        return [], {}, set(), [why]

    @admin.display(description=_("address"))
    def address(self, endpoint: Endpoint) -> str:
        return endpoint.address or gettext("not a URL")

    @admin.display(description=_("state"))
    def state_badge(self, endpoint: Endpoint) -> str:
        badge = '<strong class="webhook-state webhook-{}">{}</strong> {}'
        return format_html(badge, endpoint.state, endpoint.get_state_display(), _why(endpoint))

    @admin.display(description=_("24 hours"))
    def day(self, endpoint: Endpoint) -> str:
        """What was delivered and what failed, which share that was, and how long 95 % took."""
        day = _standing(endpoint).day
        chart = {"chart": charts.draw(day.series, charts.SPARKLINE)}
        line = render_to_string("admin/webhook_delivery/charts/sparkline.html", chart)
        p95 = day.p95 and gettext("p95 %(time)s") % {"time": charts.lasting(day.p95)}
        said = " · ".join(filter(None, [charts.percent(day.share), p95]))
        cell = '<span class="webhook-day"><a href="{}">{}<span>{}</span></a></span>'
        return format_html(cell, self.url_of(endpoint, "health"), line, said or _("no attempts"))

    @admin.display(description=_("dead letters"))
    def dead(self, endpoint: Endpoint) -> str:
        where = f"{self.list_of(DeadLetter)}?endpoint={endpoint.pk}"
        number = words.counted(_standing(endpoint).dead)
        return format_html('<a href="{}">{}</a>', where, number)

    @admin.display(description=_("oldest due"))
    def oldest_due(self, endpoint: Endpoint) -> str:
        return times.element(_standing(endpoint).oldest)

    @admin.display(description=_("deliveries"))
    def deliveries(self, endpoint: Endpoint) -> str:
        where = f"{self.list_of(Delivery)}?endpoint={endpoint.pk}"
        return format_html('<a href="{}">{}</a>', where, _("Deliveries"))


def _known_patterns() -> list[tuple[str, str]]:
    """What one may subscribe to, and what it means: each type, and all below a word."""
    known = {entry.event_type: entry.description for entry in entries()}
    wider = {pattern: "" for each in known for pattern in patterns_matching(each)[1:]}
    return sorted({**wider, **known}.items())


def _standing(endpoint: Endpoint) -> Standing:
    standing: Standing = vars(endpoint)["standing"]
    return standing


def _why(endpoint: Endpoint) -> str:
    """Until when it is paused, and why it is not on."""
    if not endpoint.resume_at:
        return visible(endpoint.state_reason)
    until = format_html(
        '<time datetime="{}">{}</time>',
        endpoint.resume_at.isoformat(),
        gettext("until %(moment)s") % {"moment": times.exact(endpoint.resume_at)},
    )
    return format_html("{} {}", until, visible(endpoint.state_reason))
