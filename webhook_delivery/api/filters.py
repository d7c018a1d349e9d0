"""How lists are narrowed: by the names that the console, the command and redeliveries know."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import BaseCSVField
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from webhook_delivery.api.fields import LARGEST, within
from webhook_delivery.models import (
    Attempt,
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    EndpointQuerySet,
    Event,
    EventQuerySet,
    RedeliveryBatch,
)
from webhook_delivery.models.event import event_of, first_at
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.selecting import FATES, LARGEST_STATUS, found, of_batch

CLOCKS_DIFFER = timedelta(hours=1)
OF_PAGES = {"cursor", "page_size"}


class StrictBackend(filters.DjangoFilterBackend):
    """Refuses filters that it does not know: a mistyped one would leave everything."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        filterset = self.get_filterset(request, queryset, view)
        known = OF_PAGES | set(filterset.filters if filterset else ())
        if unknown := sorted(set(request.query_params) - known):
            said = f"No such filter; there are: {', '.join(sorted(known))}."
            raise ValidationError({name: [said] for name in unknown})
        given = request.query_params.items()
        if empty := sorted(name for name, value in given if not str(value).strip()):
            raise ValidationError({name: ["Leave it out, or give a value."] for name in empty})
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise translate_validation(filterset.errors)
        rows: QuerySet[Any] = filterset.qs
        return rows


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": LARGEST})
class NumberFilter(filters.NumberFilter):
    """A whole number that a column can hold."""

    def __init__(self, *args: Any, max_value: int = LARGEST, **options: Any) -> None:
        super().__init__(
            *args, **{"min_value": 0, "decimal_places": 0, **options}, max_value=max_value
        )

    def get_max_validator(self) -> None:
        return None


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": LARGEST_STATUS})
class StatusFilter(NumberFilter):
    """A status of HTTP."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_value": LARGEST_STATUS, **options})


class MomentFilter(filters.IsoDateTimeFilter):
    """A moment with its zone, brought into the span that databases know."""

    def filter(self, qs: Any, value: datetime | None) -> Any:
        return super().filter(qs, value and within(value))


class Several(BaseCSVField):
    """Values with commas between, and none of them empty."""

    def clean(self, value: Any) -> Any:
        if value and not all(value):
            raise forms.ValidationError("Something is missing beside a comma.")
        return super().clean(value)


class States(filters.BaseInFilter, filters.ChoiceFilter):
    """Any of several, with commas between."""

    base_field_class = Several


class DeliveryFilter(filters.FilterSet):
    """Which deliveries."""

    state = States(choices=Delivery.State.choices, label="Any of these, with commas between.")
    endpoint = NumberFilter(label="The number of an endpoint.")
    event_type = filters.CharFilter(method="of_type", label="Exactly, or `order.*`.")
    event = filters.CharFilter(method="of_event", label="A `webhook-id`, or an event's id.")
    reason = filters.ChoiceFilter(
        choices=[(str(fault), str(fault)) for fault in Fault], method="because", label="A fault."
    )
    status = StatusFilter(method="answered", label="Of the last answer; 0: none came.")
    tenant = filters.CharFilter(field_name="event__tenant", label="Of the event.")
    since = MomentFilter("created_at", "gte", label="Created then or later.")
    until = MomentFilter("created_at", "lt", label="Created before then.")
    died_since = MomentFilter("ended_at", "gte", label="Ended then or later.")
    died_until = MomentFilter("ended_at", "lte", label="Ended then or before.")
    q = filters.CharFilter(
        method="named",
        label="Exactly: a `webhook-id`, a number, an event type, `key:value`, or `shop.order:7`.",
    )
    source = filters.CharFilter(method="about", label="What it is about: `shop.order:7`.")
    batch = NumberFilter(method="sent_by", label="The number of a redelivery that sent it.")
    fate = filters.ChoiceFilter(
        choices=[(each, each) for each in FATES],
        method="ignored",
        label="With `batch`: which of those.",
    )
    due = filters.ChoiceFilter(
        choices=[("now", "now"), ("later", "later")], method="waiting", label="What waits."
    )

    class Meta:
        model = Delivery
        fields: list[str] = []

    def of_type(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return rows.of_type(value)

    def of_event(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        event = event_of(value)
        return rows.filter(event=event) if event else rows.none()

    def because(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return rows.failing_of(value)

    def answered(self, rows: DeliveryQuerySet, name: str, value: Any) -> DeliveryQuerySet:
        return rows.with_status(int(value)).filter(state__in=Delivery.UNDELIVERED)

    def named(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return found(rows, value)

    def about(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return rows.filter(event__source=value)

    def sent_by(self, rows: DeliveryQuerySet, name: str, value: Any) -> DeliveryQuerySet:
        return of_batch(rows, int(value), self.form.cleaned_data.get("fate") or "")

    def ignored(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return rows

    def waiting(self, rows: DeliveryQuerySet, name: str, value: str) -> DeliveryQuerySet:
        return rows.due() if value == "now" else rows.later()


class AttemptFilter(filters.FilterSet):
    """Which attempts."""

    delivery = NumberFilter(label="The number of a delivery.")
    endpoint = NumberFilter("delivery__endpoint", label="The number of an endpoint.")
    reason = filters.ChoiceFilter(
        "fault", choices=[(str(fault), str(fault)) for fault in Fault], label="A fault."
    )
    verdict = filters.ChoiceFilter(choices=[(str(each), str(each)) for each in Verdict])
    status = StatusFilter(label="Of the answer.")
    since = MomentFilter("started_at", "gte", label="Begun then or later.")
    until = MomentFilter("started_at", "lt", label="Begun before then.")

    class Meta:
        model = Attempt
        fields: list[str] = []


class EventFilter(filters.FilterSet):
    """Which events."""

    event_type = filters.CharFilter(method="of_type", label="Exactly, or `order.*`.")
    tenant = filters.CharFilter(label="Exactly.")
    source = filters.CharFilter(label="What it is about: `shop.order:7`.")
    since = MomentFilter(method="happened_since", label="Happened then or later.")
    until = MomentFilter(method="happened_until", label="Happened before then.")

    class Meta:
        model = Event
        fields: list[str] = []

    def of_type(self, rows: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return rows.of_type(value)

    def happened_since(self, rows: EventQuerySet, name: str, value: datetime) -> EventQuerySet:
        """Ids are in the order of time, and in the index that the list is read by."""
        since = within(value)
        return rows.filter(pk__gte=first_at(since), created_at__gte=since)

    def happened_until(self, rows: EventQuerySet, name: str, value: datetime) -> EventQuerySet:
        """The clocks of who publishes may differ a little."""
        until = within(value)
        return rows.filter(pk__lt=first_at(until + CLOCKS_DIFFER), created_at__lt=until)


class EndpointFilter(filters.FilterSet):
    """Which endpoints."""

    state = States(choices=Endpoint.State.choices, label="Any of these, with commas between.")
    tenant = filters.CharFilter(label="Exactly.")
    owner = filters.CharFilter(label="Exactly: `shop.customer:7`.")
    name = filters.CharFilter(label="Exactly.")
    failing = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        method="fails",
        label="Whether nothing arrives there now.",
    )

    class Meta:
        model = Endpoint
        fields: list[str] = []

    def fails(self, rows: EndpointQuerySet, name: str, value: str) -> EndpointQuerySet:
        failing = rows.failing()
        return failing if value == "true" else rows.exclude(pk__in=failing.values("pk"))


class RedeliveryFilter(filters.FilterSet):
    """Which redeliveries."""

    state = States(choices=RedeliveryBatch.State.choices, label="Any, with commas between.")

    class Meta:
        model = RedeliveryBatch
        fields: list[str] = []
