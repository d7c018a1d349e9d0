"""The filters that links from other pages use, and the one that takes several states at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.filters import Choices
from webhook_delivery.models import Delivery
from webhook_delivery.references import number_in
from webhook_delivery.selecting import LARGEST_STATUS, of_batch

FATE_NAMES: dict[str, Promise] = {
    "": _("all it sent"),
    "delivered": _("delivered"),
    "failed": _("failed again"),
    "waiting": _("waiting"),
    "left": _("left"),
    "ahead": _("not reached"),
}


class HiddenFilter(admin.SimpleListFilter):
    """Follows a link from elsewhere, and is shown only then."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.value()
        return [(value, value)] if value else []


class StatusFilter(HiddenFilter):
    """The status of the last answer, exactly; 0: there was none."""

    title = _("last status")
    parameter_name = "status"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not (value := self.value()):
            return queryset
        status = number_in(value)
        if status is None or status > LARGEST_STATUS:
            return queryset.none()
        return queryset.with_status(status).filter(state__in=Delivery.UNDELIVERED)


class DueFilter(HiddenFilter):
    """What waits, to endpoints that are on: for its time or its turn, or for a worker."""

    title = _("due")
    parameter_name = "due"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "now":
                return queryset.due()
            case "later":
                return queryset.later()
        return queryset.none() if self.value() else queryset


class BatchFilter(HiddenFilter):
    """What a redelivery sent, or what has become of it."""

    title = _("redelivery")
    parameter_name = "batch"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.fate = (params.pop("fate", None) or [""])[-1] if "batch" in params else ""
        super().__init__(request, params, model, model_admin)

    def expected_parameters(self) -> list[str | None]:
        return ["batch", "fate"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.value()
        text = _("#%(number)s: %(fate)s")
        fate = FATE_NAMES.get(self.fate, self.fate)
        return [(value, text % {"number": value, "fate": fate})] if value else []

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        everything, *chosen = super().choices(changelist)
        yield everything | {"query_string": changelist.get_query_string(remove=["batch", "fate"])}
        yield from chosen

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not (value := self.value()):
            return queryset
        batch = number_in(value)
        return queryset.none() if batch is None else of_batch(queryset, batch, self.fate)


class StatesFilter(admin.SimpleListFilter):
    """Any of the states at once: each link adds one, or takes it away."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(state.value, state.label) for state in Delivery.State]

    def chosen(self) -> list[str]:
        return [state for state in (self.value() or "").split(",") if state]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        chosen = self.chosen()
        everything, *_states = super().choices(changelist)
        yield everything | {"selected": not chosen}
        for state, label in self.lookup_choices:
            states = [each for each in chosen if each != state]
            states += [] if state in chosen else [state]
            query = {str(self.parameter_name): ",".join(states) or None}
            yield {
                "selected": state in chosen,
                "query_string": changelist.get_query_string(query),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.chosen()
        return queryset.filter(state__in=chosen) if chosen else queryset
