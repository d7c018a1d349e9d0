"""What both lists of deliveries offer: actions that ask first, tools, and words when empty."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webhook_delivery.admin import acts
from webhook_delivery.admin.deliveries.export import Exporting
from webhook_delivery.admin.deliveries.hiding import refuse_many
from webhook_delivery.admin.redeliveries.choosing import UNSEEN, right_of
from webhook_delivery.models import Delivery, DeliveryQuerySet, FailureGroup
from webhook_delivery.tenancy import may

Tool = dict[str, Any]


class Offering(Exporting):
    """A list of deliveries from which they are sent again, and taken away."""

    usual_state = ""
    """The states that the list shows if none is asked for, as its links write them."""
    none_at_all: Promise | str = ""
    none_match: Promise | str = ""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "tools": self.tools(request),
            "none_at_all": self.none_at_all,
            "none_match": self.none_match,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        return may(request, "redeliver_delivery")

    @admin.action(permissions=["redeliver"], description=gettext_lazy("Redeliver selected…"))
    def redeliver_selected(self, request: HttpRequest, queryset: DeliveryQuerySet) -> HttpResponse:
        """Ask first: about those that are ticked, or about all that the filters leave."""
        query = self.parameters(request)
        if request.POST.get("select_across", "0") in ("", "0"):
            query = QueryDict(mutable=True)
            query["ids"] = ",".join(request.POST.getlist(ACTION_CHECKBOX_NAME))
        return HttpResponseRedirect(self.confirm_url(query))

    @admin.action(permissions=["redeliver"], description=gettext_lazy("Retry selected now"))
    def retry_selected_now(self, request: HttpRequest, queryset: DeliveryQuerySet) -> None:
        if not refuse_many(request):
            acts.perform(acts.RETRY_NOW, request, queryset)

    def parameters(self, request: HttpRequest) -> QueryDict:
        """How the list is narrowed, in words that the question understands."""
        query = QueryDict(mutable=True)
        for name, values in request.GET.lists():
            if name not in UNSEEN and values[-1]:
                query[name] = values[-1]
        if "state" not in query and "state__exact" not in query:
            query["state"] = self.usual_state
        return query

    def confirm_url(self, query: QueryDict) -> str:
        """Where redelivering is asked for; empty if the site leaves redeliveries out."""
        try:
            name = "admin:webhook_delivery_redeliverybatch_confirm"
            where = reverse(name, current_app=self.admin_site.name)
        except NoReverseMatch:
            return ""
        return f"{where}?{query.urlencode(safe=',')}"

    def tools(self, request: HttpRequest) -> list[Tool]:
        """What stands above the list."""
        if not self.has_export_permission(request):
            return []
        filters = request.GET.urlencode()
        url = self.export_url() + (f"?{filters}" if filters else "")
        return [{"label": _("Export CSV"), "url": url}]

    def redeliver_tools(self, request: HttpRequest) -> list[Tool]:
        """All that the filters leave; without any, all dead letters, for who may that."""
        query = self.parameters(request)
        right = right_of(query, at=timezone.now())
        url = self.confirm_url(query) if may(request, right) else ""
        dead = query["state"] == Delivery.State.DEAD if "state" in query else False
        if not url or not dead:
            return []
        everything = right == "redeliver_unfiltered"
        narrowed = _("Redeliver everything matching this filter…")
        return [{"label": _("Redeliver all dead letters…") if everything else narrowed, "url": url}]

    def group_tools(self, request: HttpRequest) -> list[Tool]:
        model: type[Model] = FailureGroup
        if not self.admin_site.is_registered(model):
            return []
        return [{"label": _("Failure groups"), "url": self.list_of(model)}]
