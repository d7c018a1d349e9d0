"""The list of endpoints: what its page reads of all its rows at once, and how it is narrowed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import router
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.filters import Choices
from webhook_delivery.models import Delivery
from webhook_delivery.standing import standings_of


class EndpointList(ChangeList):
    """Three statements more than other lists, however many rows it shows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        standings = standings_of(
            [endpoint.pk for endpoint in self.result_list], using=router.db_for_read(Delivery)
        )
        for endpoint in self.result_list:
            endpoint.standing = standings[endpoint.pk]


class DeadLettersFilter(admin.SimpleListFilter):
    """Whether it has any."""

    title = _("dead letters")
    parameter_name = "dead"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("yes", _("Some")), ("no", _("None"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        letters = Exists(Delivery.objects.dead().filter(endpoint=OuterRef("pk")))
        match self.value():
            case None | "":
                return queryset
            case "yes":
                return queryset.filter(letters)
            case "no":
                return queryset.filter(~letters)
            case _other:
                return queryset.none()
