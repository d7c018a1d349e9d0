"""What people did, to look at."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.admin.times import element
from webhook_delivery.models import ConsoleAction
from webhook_delivery.tenancy import tenants_of

VERBS: Mapping[str, Promise] = {
    "redeliver": _("Redeliver"),
    "retry_now": _("Retry now"),
    "discard": _("Discard"),
    "restore": _("Restore"),
    "recover_missed": _("Create what was never made"),
    "batch paused": _("Pause a redelivery"),
    "batch running": _("Resume a redelivery"),
    "batch cancelled": _("Cancel a redelivery"),
    "batch rate": _("Change the speed of a redelivery"),
    "acknowledge": _("Acknowledge"),
    "snooze": _("Snooze"),
    "reopen": _("Reopen"),
    "forward": _("Send to another endpoint"),
    "erase": _("Erase the body"),
    "test": _("Send test event"),
    "pause": _("Pause"),
    "switch_on": _("Switch on"),
    "switch_off": _("Switch off"),
    "create_endpoint": _("Add an endpoint"),
    "change_endpoint": _("Change an endpoint"),
    "delete_endpoint": _("Delete an endpoint"),
    "reveal_secret": _("Reveal secrets"),
    "rotate_secret": _("Rotate the signing secret"),
}
"""What people do, as the lines name it."""


@admin.register(ConsoleAction)
class ConsoleActionAdmin(ReadOnlyAdmin):
    list_display = ["id", "done", "count", "who", "what", "why", "when"]
    fields = ["done", "who", "what", "why", "count", "deliveries", "when"]
    readonly_fields = ["done", "who", "what", "why", "when"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Lines name endpoints of any tenant: who sees only some tenants sees his own acts."""
        rows = super().get_queryset(request)
        return rows if tenants_of(request) is None else rows.filter(by=request.user.pk)

    @admin.display(description=_("action"))
    def done(self, action: ConsoleAction) -> Promise | str:
        """In words; as it is written, if only a later version knows it."""
        return VERBS.get(action.verb) or visible(action.verb)

    @admin.display(description=_("by"))
    def who(self, action: ConsoleAction) -> str:
        return visible(action.by_name)

    @admin.display(description=_("about"))
    def what(self, action: ConsoleAction) -> str:
        return visible(action.about)

    @admin.display(description=_("reason"))
    def why(self, action: ConsoleAction) -> str:
        return visible(action.reason)

    @admin.display(description=_("when"))
    def when(self, action: ConsoleAction) -> str:
        return element(action.created_at)
