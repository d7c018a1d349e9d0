"""How lists are narrowed: closed choices and exact texts, never a query to list the choices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webhook_delivery.explaining import LABELS
from webhook_delivery.models import Delivery
from webhook_delivery.references import number_in

Choices = list[tuple[str, Any]]


SPANS: dict[str, tuple[Promise, timedelta]] = {
    "1h": (_("Last hour"), timedelta(hours=1)),
    "24h": (_("Last 24 hours"), timedelta(hours=24)),
    "7d": (_("Last 7 days"), timedelta(days=7)),
    "30d": (_("Last 30 days"), timedelta(days=30)),
}


class ReasonFilter(admin.SimpleListFilter):
    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(fault), label) for fault, label in LABELS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if not value:
            return queryset
        if value not in LABELS:
            return queryset.none()
        return queryset.failing_of(value)


class SpanFilter(admin.SimpleListFilter):
    """One of a few spans of time that end now."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(value, label) for value, (label, _span) in SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        _label, span = SPANS.get(self.value() or "", (None, None))
        return queryset if span is None else self.since(queryset, timezone.now() - span)

    def since(self, queryset: Any, moment: datetime) -> Any:
        raise NotImplementedError


class WhenFilter(SpanFilter):
    title = _("creation")
    parameter_name = "when"

    def since(self, queryset: Any, moment: datetime) -> Any:
        return queryset.since(moment)


class DiedFilter(SpanFilter):
    title = _("death")
    parameter_name = "died"

    def since(self, queryset: Any, moment: datetime) -> Any:
        return queryset.filter(ended_at__gte=moment)


class DeadFilter(admin.SimpleListFilter):
    """Dead, unless asked otherwise."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            (Delivery.State.DEAD.value, Delivery.State.DEAD.label),
            (Delivery.State.DISCARDED.value, Delivery.State.DISCARDED.label),
        ]

    def value(self) -> str:
        return super().value() or Delivery.State.DEAD.value

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        _everything, *states = super().choices(changelist)
        yield from states

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = {"dead": queryset.dead, "discarded": queryset.discarded}
        return chosen.get(self.value(), queryset.none)()


class TextFilter(admin.SimpleListFilter):
    """A field to type in, and one exact look-up."""

    template = "admin/webhook_delivery/text_filter.html"
    lookup: str
    placeholder: Promise

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return []

    def has_output(self) -> bool:
        return True

    def value(self) -> str:
        return (super().value() or "").strip()

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """What the form must carry along, and the link that empties it."""
        mine = {str(self.parameter_name), PAGE_VAR, ERROR_FLAG}
        yield {
            "hidden": [
                (name, value)
                for name, values in self.request.GET.lists()
                if name not in mine
                for value in values
            ],
            "query_string": changelist.get_query_string(remove=list(mine)),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not (value := self.value()):
            return queryset
        # PostgreSQL takes no NUL in a text.
        return queryset.none() if "\0" in value else self.narrow(queryset, value)

    def narrow(self, queryset: QuerySet, value: str) -> QuerySet:
        return queryset.filter(**{self.lookup: value})


class EventTypeFilter(TextFilter):
    """The event type of deliveries."""

    title = _("event type")
    parameter_name = "event_type"
    placeholder = _("order.created or order.*")
    lookup = "event_type"

    def narrow(self, queryset: Any, value: str) -> Any:
        return queryset.of_type(value)


class TypeFilter(TextFilter):
    """The type of events themselves."""

    title = _("event type")
    parameter_name = "event_type"
    placeholder = _("order.created")
    lookup = "event_type"


class TenantFilter(TextFilter):
    """Whose an event is, or an endpoint."""

    title = _("tenant")
    parameter_name = "tenant"
    placeholder = _("exactly")
    lookup = "tenant"


class EndpointFilter(TextFilter):
    title = _("endpoint")
    parameter_name = "endpoint"
    placeholder = _("name or number")
    lookup = "endpoint__name"

    def narrow(self, queryset: QuerySet, value: str) -> QuerySet:
        if (number := number_in(value)) is not None:
            return queryset.filter(endpoint=number)
        return super().narrow(queryset, value)
