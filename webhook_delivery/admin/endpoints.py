"""Endpoints: where they are, what they hear, and the switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import endpoints, signing
from webhook_delivery.admin.acts import ReasonedActionForm, reason_given
from webhook_delivery.admin.secrets import SecretsAdmin
from webhook_delivery.admin.wire import EndpointForm
from webhook_delivery.models import Delivery, Endpoint, Secret, Subscription


class SubscriptionInline(admin.TabularInline):
    model = Subscription
    extra = 1


@admin.register(Endpoint)
class EndpointAdmin(SecretsAdmin):
    tenant_field = "tenant"
    list_display = ["name", "address", "state", "state_reason", "tenant", "deliveries"]
    list_filter = ["state"]
    sortable_by = ["name"]
    search_fields = ["name", "url", "tenant"]
    form = EndpointForm
    inlines = [SubscriptionInline]
    action_form = ReasonedActionForm
    actions = ["switch_on", "pause", "switch_off"]
    editable = [
        "name",
        "url",
        "tenant",
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
    readonly_fields = ["address", "state", "state_reason", "deliveries", "created_at", "updated_at"]

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
        return form

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        sees = self._sees_urls(request)
        return [name for name in self.search_fields if name != "url" or sees]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Who may not see a URL may not guess it by filters either, letter after letter."""
        hidden = lookup.partition("__")[0] == "url"
        return not hidden and super().lookup_allowed(lookup, value, request)

    def _sees_urls(self, request: HttpRequest) -> bool:
        """Path and query are for those who could change them: tokens live there."""
        return self.has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        if change:
            # Only what was edited: the state may have been switched since the row was read.
            columns = {field.name for field in obj._meta.fields} & set(form.changed_data)
            obj.save(update_fields=[*columns, "updated_at"])
        else:
            super().save_model(request, obj, form, change)
            Secret.keep(obj, signing.generate_secret())
        form.seal(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say that there are deliveries; Django would list every one of them."""
        owed = Delivery.objects.filter(endpoint__in=list(objs))
        if not owed.exists():
            return super().get_deleted_objects(objs, request)
        why = _("deliveries, which keep their endpoint; switch it off instead")
        return [], {}, set(), [why]

    @admin.action(permissions=["change"], description=_("Switch on: send what was held"))
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        count, moved = self._switch(request, queryset, endpoints.switch_on, _("Switched on."))
        said = ngettext(
            "%(count)s endpoint was switched on.", "%(count)s endpoints were switched on.", count
        )
        self._say(request, f"{said} {_released(moved)}", count)

    @admin.action(permissions=["change"], description=_("Pause: hold what is to be sent"))
    def pause(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        verb = partial(endpoints.pause, reason=reason_given(request))
        count, moved = self._switch(request, queryset, verb, _("Paused."))
        said = ngettext("%(count)s endpoint was paused.", "%(count)s endpoints were paused.", count)
        self._say(request, f"{said} {_held(moved)}", count)

    @admin.action(permissions=["change"], description=_("Switch off: owe it nothing new"))
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        verb = partial(endpoints.switch_off, reason=reason_given(request))
        count, moved = self._switch(request, queryset, verb, _("Switched off."))
        said = ngettext(
            "%(count)s endpoint was switched off.", "%(count)s endpoints were switched off.", count
        )
        self._say(request, f"{said} {_held(moved)}", count)

    def _switch(
        self,
        request: HttpRequest,
        chosen: Iterable[Endpoint],
        verb: Callable[..., list[int]],
        history: Any,
    ) -> tuple[int, int]:
        """Switch one by one; returns how many, and how many deliveries that moved."""
        using, moved = router.db_for_write(Endpoint), []
        for endpoint in chosen:  # in no transaction: publishing would wait for what is moved
            moved.append(len(verb(endpoint.pk, using=using)))
            self.log_change(request, endpoint, f"{history} {reason_given(request)}".strip())
        return len(moved), sum(moved)

    def _say(self, request: HttpRequest, said: str, count: int) -> None:
        self.message_user(request, said % {"count": count}, messages.SUCCESS)

    @admin.display(description=_("address"))
    def address(self, endpoint: Endpoint) -> str:
        """Without path, query and user names, which may hold tokens."""
        try:
            parts = urlsplit(endpoint.url)
            port = "" if parts.port is None else f":{parts.port}"
        except ValueError:
            return gettext("not a URL")
        more = "…" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}/{more}"

    @admin.display(description=_("deliveries"))
    def deliveries(self, endpoint: Endpoint) -> str:
        where = reverse(
            "admin:webhook_delivery_delivery_changelist", current_app=self.admin_site.name
        )
        words = _("Deliveries")
        return format_html('<a href="{}?endpoint={}">{}</a>', where, endpoint.pk, words)


def _released(moved: int) -> str:
    if not moved:
        return gettext("Nothing was held.")
    return ngettext(
        "%(moved)s delivery was released.", "%(moved)s deliveries were released.", moved
    ) % {"moved": moved}


def _held(moved: int) -> str:
    if not moved:
        return gettext("Nothing was waiting to be sent.")
    return ngettext("%(moved)s delivery is held.", "%(moved)s deliveries are held.", moved) % {
        "moved": moved
    }
