"""Reads which deliveries a redelivery is about, by the names of `selecting.selection_of`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from webhook_delivery import tenancy
from webhook_delivery.api.fields import Moment, Number
from webhook_delivery.api.reading import Strict
from webhook_delivery.models import Delivery
from webhook_delivery.models.event import event_of
from webhook_delivery.outcomes import Fault
from webhook_delivery.selecting import (
    FATES,
    LARGEST_STATUS,
    MOST_IDS,
    selection_of,
)

EVENT = "^(evt_)?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$"


class Text(serializers.CharField):
    """A filter that may be left empty, and then does not count."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "allow_blank": True, "max_length": 200, **options})


class SelectionSerializer(Strict):
    """Which deliveries; what is not said does not count."""

    state = serializers.ListField(
        child=serializers.ChoiceField(choices=[str(state) for state in Delivery.REDELIVERABLE]),
        required=False,
        min_length=1,
        max_length=2,
        help_text="Default: dead; of those chosen by number, both.",
    )
    endpoint = Number(required=False, help_text="The number of an endpoint.")
    endpoints = serializers.ListField(
        child=Number(), required=False, max_length=MOST_IDS, help_text="Of any of these."
    )
    reason = serializers.ChoiceField(choices=[str(fault) for fault in Fault], required=False)
    status = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_STATUS, help_text="0: no answer came."
    )
    event_type = Text(help_text="Exactly, or `order.*`.")
    event = serializers.RegexField(
        EVENT, required=False, help_text="A `webhook-id`, or an event's id."
    )
    tenant = Text(help_text="Of the event.")
    since = Moment(required=False)
    until = Moment(required=False)
    died_since = Moment(required=False)
    died_until = Moment(required=False)
    q = Text(help_text="What the console's search takes.")
    source = Text(help_text="What it is about: `shop.order:7`.")  # type: ignore[assignment]
    batch = Number(required=False, help_text="The number of a redelivery that sent it.")
    fate = serializers.ChoiceField(
        choices=FATES, required=False, help_text="With `batch`: which of those."
    )
    ids = serializers.ListField(child=Number(), required=False, max_length=MOST_IDS)

    def validate_event(self, event: str) -> Any:
        return event_of(event)


def selection_for(request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is chosen, as it is kept: only of the user's tenants, and nothing that ends later."""
    now, filters = timezone.now(), dict(given)
    usual = Delivery.REDELIVERABLE if "ids" in filters else [Delivery.State.DEAD]
    filters["state"] = filters.get("state") or [str(state) for state in usual]
    filters["died_until"] = min(filters.get("died_until") or now, now)
    fate = filters.pop("fate", "")
    if "batch" in filters:
        filters["batch"] = filters["batch"], fate
    return selection_of(**filters, tenants=tenancy.tenants_of(request))
