"""What every list and page of the console has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _

from webhook_delivery.admin.paging import CappedPaginator
from webhook_delivery.conf import settings
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import may, tenants_of


class ConsoleAdmin(admin.ModelAdmin):
    """Lists that stay quick however long they are: nothing is counted or sorted but by index."""

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    sortable_by: ClassVar[list[str]] = ["id"]
    ordering = ["-pk"]
    tenant_field: ClassVar[str] = ""
    """Where a row says whose it is, as a lookup; empty: it is nobody's."""
    guarded: ClassVar[str] = ""
    """A column that is not for everybody who sees the list; empty: none is."""

    class Media:
        css = {"all": ["webhook_delivery/console.css"]}
        js = ["webhook_delivery/console.js"]

    def own_urls(self) -> list[URLPattern]:
        """The addresses that this page has besides those of every admin."""
        return []

    def get_urls(self) -> list[URLPattern]:
        return [*self.own_urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Only rows of the user's tenants; and none, if the last query had to be stopped."""
        rows = super().get_queryset(request)
        if getattr(request, "webhook_stopped", False):
            return rows.none()
        tenants = tenants_of(request) if self.tenant_field else None
        return rows if tenants is None else self.scoped(rows, tenants)

    def scoped(self, rows: QuerySet, tenants: Sequence[str]) -> QuerySet:
        return rows.filter(**{f"{self.tenant_field}__in": tenants})

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Who may not see a column may not guess it by filters either, letter after letter."""
        hidden = lookup.partition("__")[0] == self.guarded
        return not hidden and super().lookup_allowed(lookup, value, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuse an action that the user may not do; Django alone would say "No action"."""
        if request.method == "POST":
            wanted = set(request.POST.getlist("action"))
            if not wanted <= {"", *self.get_actions(request)}:
                raise PermissionDenied
            return super().changelist_view(request, extra_context)
        try:
            with patience(using=router.db_for_read(self.model)):
                return _read(super().changelist_view(request, extra_context))
        except TooSlow:
            return self._stopped(request, extra_context)

    def the(self, request: HttpRequest, object_id: str) -> Any:
        """The row of that number, for who may see it. Raises PermissionDenied and Http404."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def require(self, request: HttpRequest, codename: str) -> None:
        """Raise PermissionDenied unless the user has that right of ours."""
        if not may(request, codename):
            raise PermissionDenied

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """A page of our own, with all that the admin's pages have; `title` is needed."""
        return TemplateResponse(
            request,
            f"admin/webhook_delivery/{template}",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "list_url": self.list_of(self.model),
                **context,
            },
        )

    def list_of(self, model: type[Model]) -> str:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        return reverse(name, current_app=self.admin_site.name)

    def page_of(self, row: Model) -> str:
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        return reverse(name, args=[row.pk], current_app=self.admin_site.name)

    def link_to(self, request: HttpRequest, row: Model) -> str:
        """The row's own page, if there is one that the user may see."""
        if not self.admin_site.is_registered(type(row)):
            return ""
        if not self.admin_site.get_model_admin(type(row)).has_view_permission(request, row):
            return ""
        return self.page_of(row)

    def _stopped(self, request: HttpRequest, extra: dict[str, Any] | None) -> HttpResponse:
        said = _(
            "That search took longer than %(seconds)s seconds and was stopped. "
            "Add an endpoint, a state or a time range."
        )
        self.message_user(
            request, said % {"seconds": settings.CONSOLE_TIMEOUT_SECONDS}, messages.WARNING
        )
        cast(Any, request).webhook_stopped = True
        return super().changelist_view(request, {**(extra or {}), "stopped": True})


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that people look at and nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PageAdmin(ReadOnlyAdmin):
    """A page above deliveries, with no rows of its own; the rights are those of `Delivery`."""

    tenant_field = "endpoint__tenant"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, "view_delivery")

    def require_view(self, request: HttpRequest) -> None:
        """Raises PermissionDenied."""
        if not self.has_view_permission(request):
            raise PermissionDenied


def _read(response: HttpResponse) -> HttpResponse:
    """Rows are read while the page is made of them: that too must be stopped if it takes long."""
    if isinstance(response, TemplateResponse):
        response.render()
    return response
