"""The list of endpoints: what its page reads of all its rows at once, and how it is narrowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import router
from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from webhook_delivery import figures
from webhook_delivery.admin.filters import Choices, TextFilter
from webhook_delivery.admin.paging import CAP
from webhook_delivery.counting import Number, count_each
from webhook_delivery.figures import Figures
from webhook_delivery.models import Delivery, Endpoint


@dataclass(frozen=True)
class Standing:
    """How one endpoint fares."""

    day: Figures
    dead: Number
    oldest: datetime | None
    """When what is due longest has been due; or will be due next."""


class EndpointList(ChangeList):
    """Three statements more than other lists, however many rows it shows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        standings = standings_of([endpoint.pk for endpoint in self.result_list])
        for endpoint in self.result_list:
            endpoint.standing = standings[endpoint.pk]


def standings_of(endpoints: Sequence[int]) -> dict[int, Standing]:
    """How each of a page of endpoints fares."""
    if not endpoints:
        return {}
    using = router.db_for_read(Delivery)
    days = figures.each(endpoints, figures.DAY, using=using)
    letters = Delivery.objects.using(using).dead()
    dead = {str(pk): letters.filter(endpoint=pk) for pk in endpoints}
    counted, oldest = count_each(dead, cap=CAP, using=using), _oldest_due(endpoints, using)
    return {pk: Standing(days[pk], counted[str(pk)], oldest.get(pk)) for pk in endpoints}


def _oldest_due(endpoints: Sequence[int], using: str) -> dict[int, datetime | None]:
    """One look into the index for each, in one statement for all."""
    waiting = Delivery.objects.using(using).pending().filter(endpoint=OuterRef("pk"))
    first = waiting.filter(due_at__isnull=False).order_by("due_at").values("due_at")[:1]
    rows = Endpoint.objects.using(using).filter(pk__in=endpoints).annotate(first=Subquery(first))
    return dict(rows.values_list("pk", "first"))


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


class TenantFilter(TextFilter):
    title = _("tenant")
    parameter_name = "tenant"
    placeholder = _("tenant")
    lookup = "tenant"
