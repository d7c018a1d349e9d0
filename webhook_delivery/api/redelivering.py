"""What may be said of redeliveries of many, and how they look in answers."""

from __future__ import annotations

from rest_framework import serializers

from webhook_delivery.api.choosing import SelectionSerializer
from webhook_delivery.api.fields import Moment, Number, Rate
from webhook_delivery.api.reading import Reasoned, Strict
from webhook_delivery.api.showing import Shown
from webhook_delivery.models import RedeliveryBatch


class RedeliverySerializer(Shown):
    """Many deliveries that are sent again."""

    id = Number()
    kind = serializers.ChoiceField(choices=RedeliveryBatch.Kind.choices)
    state = serializers.ChoiceField(choices=RedeliveryBatch.State.choices)
    state_reason = serializers.CharField()
    selection = serializers.DictField(help_text="The filters, by name.")
    expected = serializers.IntegerField(help_text="How many there were; counted up to 100000.")
    sent = serializers.IntegerField()
    left = serializers.IntegerField(help_text="How many could not be sent when their turn came.")
    rate = serializers.FloatField(source="rate_per_second", allow_null=True)
    canary = serializers.IntegerField()
    stop_above = serializers.IntegerField(allow_null=True)
    once = serializers.BooleanField()
    by = serializers.CharField(source="by_name")
    reason = serializers.CharField()
    created_at = Moment()
    ended_at = Moment(allow_null=True)


class ProgressSerializer(Shown):
    """How those that were sent have fared."""

    delivered = serializers.IntegerField()
    failed = serializers.IntegerField()
    waiting = serializers.IntegerField()
    gone = serializers.IntegerField(help_text="Of so many more nothing is kept any more.")


class RedeliveryDetailSerializer(RedeliverySerializer):
    """A redelivery, and how far it is."""

    progress = ProgressSerializer(
        allow_null=True, help_text="Null: of what was missed, or too many to count in time."
    )


class ChoiceSerializer(Strict):
    """What is chosen."""

    selection = SelectionSerializer(default=dict)


class Paced(Strict):
    """How fast it is sent, unless asked otherwise as fast as from the console."""

    rate = Rate(
        default=10.0,
        help_text="How many a second; null: as fast as the endpoints' own limits allow.",
    )


class Careful(Paced):
    """And how carefully."""

    canary = serializers.IntegerField(
        default=5, min_value=0, max_value=1000, help_text="So many first; if all fail, no more."
    )
    stop_above = serializers.IntegerField(
        default=50,
        min_value=0,
        max_value=99,
        allow_null=True,
        help_text="If more percent of the last hundred fail, it pauses; null: it goes on.",
    )
    once = serializers.BooleanField(
        default=True, help_text="One attempt each; false: a full new schedule of retries."
    )


class NewRedeliverySerializer(Reasoned, ChoiceSerializer, Careful):
    """What is to be sent again, how fast, and how carefully."""


class RateSerializer(Strict):
    """How many a second."""

    rate = Rate()


class CountedSerializer(Shown):
    """How many, and whether only so many were counted."""

    of = serializers.IntegerField()
    capped = serializers.BooleanField()


class PreviewSerializer(Shown):
    """What a redelivery would do if it began now."""

    chosen = CountedSerializer()
    sent = CountedSerializer()
    left = CountedSerializer(help_text="Those whose endpoints are not on.")


class ChangedSerializer(Shown):
    """What came of an act."""

    changed = serializers.BooleanField(help_text="False: it was so already.")
    redelivery = RedeliverySerializer()
