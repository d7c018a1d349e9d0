"""What people did, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.admin.times import element
from webhook_delivery.models import ConsoleAction


@admin.register(ConsoleAction)
class ConsoleActionAdmin(ReadOnlyAdmin):
    list_display = ["id", "verb", "count", "who", "what", "why", "when"]
    fields = ["verb", "who", "what", "why", "count", "deliveries", "when"]
    readonly_fields = ["who", "what", "why", "when"]

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
