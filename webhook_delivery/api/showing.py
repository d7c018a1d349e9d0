"""How deliveries and their attempts look in answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import F
from rest_framework import serializers

from webhook_delivery.api.fields import Moment, Number
from webhook_delivery.explaining import LABELS, hint_of
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.models.event import webhook_id

Shown = serializers.Serializer[Any]


class DeliverySerializer(Shown):
    """One event owed to one endpoint, and how that went so far."""

    id = Number(help_text="The delivery's number.")
    webhook_id = serializers.SerializerMethodField(help_text="What receivers know the event by.")
    event_type = serializers.CharField()
    endpoint = serializers.IntegerField(source="endpoint_id", help_text="The endpoint's number.")
    endpoint_name = serializers.CharField(source="endpoint.name")
    state = serializers.ChoiceField(choices=Delivery.State.choices)
    attempts = serializers.IntegerField(
        source="attempts_made", help_text="How many have been made, redeliveries included."
    )
    last_status = serializers.IntegerField(
        allow_null=True, help_text="Of the last answer; null: none came."
    )
    reason = serializers.CharField(help_text="The code of the last fault; empty: there was none.")
    last_error = serializers.SerializerMethodField(help_text="The last fault in words.")
    hint = serializers.SerializerMethodField(help_text="What to do about it.")
    last_attempt_at = serializers.SerializerMethodField(help_text="When the last attempt began.")
    delivered_at = serializers.SerializerMethodField(help_text="When it arrived; null: not yet.")
    ended_at = Moment(allow_null=True, help_text="When it was delivered, or died.")
    due_at = serializers.SerializerMethodField(
        help_text="When it will be attempted next; null: it does not wait for a moment."
    )
    created_at = Moment()

    def get_webhook_id(self, delivery: Delivery) -> str:
        return webhook_id(delivery.event_id)

    def get_last_error(self, delivery: Delivery) -> str | None:
        if not delivery.reason:
            return None
        words = str(LABELS.get(delivery.reason, delivery.reason))
        last = _last(delivery)
        return f"{words}: {last.detail}" if last and last.detail else words

    def get_hint(self, delivery: Delivery) -> str | None:
        return str(hint_of(delivery.reason, delivery.last_status)) or None

    def get_last_attempt_at(self, delivery: Delivery) -> datetime | None:
        last = _last(delivery)
        return _moment(last.started_at if last else None)

    def get_delivered_at(self, delivery: Delivery) -> datetime | None:
        arrived = delivery.state == Delivery.State.DELIVERED
        return _moment(delivery.ended_at if arrived else None)

    def get_due_at(self, delivery: Delivery) -> datetime | None:
        return _moment(delivery.due_at if delivery.state == Delivery.State.PENDING else None)


class AttemptSerializer(Shown):
    """One HTTP request for a delivery, as it ended."""

    id = Number()
    delivery = serializers.IntegerField(source="delivery_id")
    number = serializers.IntegerField()
    trigger = serializers.ChoiceField(choices=Delivery.Trigger.choices)
    started_at = Moment()
    duration_ms = serializers.IntegerField(allow_null=True)
    status = serializers.IntegerField(allow_null=True)
    fault = serializers.CharField()
    detail = serializers.CharField()
    verdict = serializers.CharField()
    next_due_at = Moment(allow_null=True)
    excerpt = serializers.SerializerMethodField(
        help_text="The start of the answer; null: not for who may not see payloads."
    )

    def get_excerpt(self, attempt: Attempt) -> str | None:
        if not self.context.get("may_see_payloads"):
            return None
        return bytes(attempt.excerpt).decode("utf-8", "replace")


class DetailSerializer(DeliverySerializer):
    """A delivery with all of its attempts."""

    tenant = serializers.CharField(source="endpoint.tenant")
    format = serializers.CharField()
    trigger = serializers.CharField()
    log = AttemptSerializer(source="attempts", many=True, help_text="Each attempt, in order.")


def with_last_attempts(deliveries: Iterable[Delivery]) -> Sequence[Delivery]:
    """Read the last attempt of each of a page of deliveries, all at once."""
    rows = list(deliveries)
    of_these = Attempt.objects.using(rows[0]._state.db) if rows else Attempt.objects.none()
    later = of_these.filter(delivery__in=rows).alias(next=F("number") + 1)
    # While one is being sent, that attempt counts already and is not in the log yet.
    recent = later.filter(next__gte=F("delivery__attempts_made")).defer("excerpt")
    last = {each.delivery_id: each for each in recent.order_by("number")} if rows else {}
    for row in rows:
        row.last_attempt = last.get(row.pk)  # type: ignore[attr-defined]
    return rows


def _last(delivery: Delivery) -> Attempt | None:
    last: Attempt | None = vars(delivery)["last_attempt"]
    return last


def _moment(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC)
