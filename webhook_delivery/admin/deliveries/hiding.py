"""Asks before dead letters are discarded or restored: two addresses, and only the second acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery.admin import acts, hints, words
from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.models import Delivery, DeliveryQuerySet
from webhook_delivery.references import number_in
from webhook_delivery.selecting import MOST_IDS
from webhook_delivery.tenancy import may

SHOWN = 20
"""So many of those that were selected are named."""


@dataclass(frozen=True)
class Hide:
    """One of the two acts, and its words."""

    act: acts.Act
    was: Delivery.State
    title: Any
    button: Promise
    explained: Promise


HIDES = {
    "discard": Hide(
        acts.DISCARD,
        Delivery.State.DEAD,
        ngettext_lazy("Discard %(count)s dead letter", "Discard %(count)s dead letters", "count"),
        gettext_lazy("Discard"),
        gettext_lazy(
            "They leave the list of dead letters, and nobody redelivers them by a filter. They can "
            "be restored from the list of what was discarded."
        ),
    ),
    "restore": Hide(
        acts.RESTORE,
        Delivery.State.DISCARDED,
        ngettext_lazy(
            "Restore %(count)s discarded delivery",
            "Restore %(count)s discarded deliveries",
            "count",
        ),
        gettext_lazy("Restore"),
        gettext_lazy("They are dead letters again. Nothing is sent."),
    ),
}


class Hiding(ReadOnlyAdmin):
    """A list whose rows can be discarded and restored, those that are selected."""

    def own_urls(self) -> list[URLPattern]:
        pages = []
        for name in HIDES:
            views = {"": (self.hide_view, ""), "now/": (self.hide_now_view, "_now")}
            for tail, (view, suffix) in views.items():
                bound = self.admin_site.admin_view(partial(view, name=name))
                address = f"webhook_delivery_{self.opts.model_name}_{name}{suffix}"
                pages.append(path(f"{name}/{tail}", bound, name=address))
        return [*pages, *super().own_urls()]

    def has_discard_dead_permission(self, request: HttpRequest) -> bool:
        """Where what is discarded is listed, there is nothing to discard."""
        return may(request, "discard_delivery") and not _lists_discarded(request)

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return may(request, "discard_delivery") and _lists_discarded(request)

    @admin.action(permissions=["discard_dead"], description=gettext_lazy("Discard selected…"))
    def discard_selected(
        self, request: HttpRequest, queryset: DeliveryQuerySet
    ) -> HttpResponse | None:
        return self._to_question(request, "discard")

    @admin.action(permissions=["restore"], description=gettext_lazy("Restore selected…"))
    def restore_selected(
        self, request: HttpRequest, queryset: DeliveryQuerySet
    ) -> HttpResponse | None:
        return self._to_question(request, "restore")

    def _to_question(self, request: HttpRequest, name: str) -> HttpResponse | None:
        if refuse_many(request):
            return None
        return HttpResponseRedirect(self._hide_url(name, query_of_selected(request)))

    @method_decorator(require_safe)
    def hide_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Say what would be changed; nothing is."""
        hide, rows = HIDES[name], self._chosen(request, request.GET.get("ids", "").split(","))
        found = list(rows.filter(state=hide.was).order_by("-pk")[: MOST_IDS + 1])
        title = str(hide.title % {"count": len(found)}) if found else _("Nothing to do")
        return self.page(
            request,
            "deadletter/hide.html",
            title=title,
            hide=hide,
            rows=[(row, self.link_to(request, row), hints.reason_of(row)) for row in found[:SHOWN]],
            ids=[row.pk for row in found],
            more=len(found) > SHOWN and words.number(len(found) - SHOWN),
            form=acts.ReasonForm(auto_id="webhook_%s"),
            act_url=self._hide_url(f"{name}_now", _kept(request.GET)),
            back=self._back(request),
        )

    @method_decorator(require_POST)
    def hide_now_view(self, request: HttpRequest, name: str) -> HttpResponse:
        rows = self._chosen(request, request.POST.getlist(ACTION_CHECKBOX_NAME))
        acts.perform(HIDES[name].act, request, rows)
        return HttpResponseRedirect(self._back(request))

    def _chosen(self, request: HttpRequest, texts: Sequence[str]) -> DeliveryQuerySet:
        """Those of that number that the user sees. Raises PermissionDenied."""
        self.require(request, "view_delivery")
        self.require(request, "discard_delivery")
        ids = [number for text in texts[:MOST_IDS] if (number := number_in(text)) is not None]
        return cast(DeliveryQuerySet, self.get_queryset(request).filter(pk__in=ids))

    def _hide_url(self, name: str, query: QueryDict) -> str:
        address = f"admin:webhook_delivery_{self.opts.model_name}_{name}"
        return f"{reverse(address, current_app=self.admin_site.name)}?{query.urlencode()}"

    def _back(self, request: HttpRequest) -> str:
        """The list, narrowed as it was."""
        query = request.GET.get("_changelist_filters", "")
        return f"{self.list_of(self.model)}?{query}" if query else self.list_of(self.model)


def refuse_many(request: HttpRequest) -> bool:
    """Whether more was chosen than is selected one by one; if so, tell the user why not."""
    across = request.POST.get("select_across", "0") not in ("", "0")
    selected = len(request.POST.getlist(ACTION_CHECKBOX_NAME))
    if across or selected > MOST_IDS:
        text = ngettext(
            "This is done to no more than %(most)s at once, and not to all that match: "
            "select those that you mean. Nothing was changed.",
            "This is done to no more than %(most)s at once, and not to all that match: "
            "select those that you mean. Nothing was changed.",
            MOST_IDS,
        )
        messages.warning(request, text % {"most": MOST_IDS})
        return True
    return False


def query_of_selected(request: HttpRequest) -> QueryDict:
    """The rows that were selected, and how the list was narrowed."""
    query = QueryDict(mutable=True)
    query["ids"] = ",".join(request.POST.getlist(ACTION_CHECKBOX_NAME))
    if filters := request.GET.urlencode():
        query["_changelist_filters"] = filters
    return query


def _kept(given: QueryDict) -> QueryDict:
    query = QueryDict(mutable=True)
    if filters := given.get("_changelist_filters"):
        query["_changelist_filters"] = filters
    return query


def _lists_discarded(request: HttpRequest) -> bool:
    return request.GET.get("state") == Delivery.State.DISCARDED
