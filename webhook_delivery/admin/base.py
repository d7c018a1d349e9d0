"""What every list and page of the console has in common."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class ConsoleAdmin(admin.ModelAdmin):
    """Lists that stay quick however long they are: nothing is counted or sorted but by index."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by: ClassVar[list[str]] = ["id"]
    ordering = ["-pk"]

    class Media:
        css = {"all": ["webhook_delivery/console.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse an action that the user may not do; Django alone would say "No action"."""
        if request.method == "POST":
            wanted = set(request.POST.getlist("action"))
            if not wanted <= {"", *self.get_actions(request)}:
                raise PermissionDenied
        return super().changelist_view(request, extra_context)


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that people look at and nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
