"""What is asked of one endpoint: to be paused, tested, given a new secret; and what comes of it."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone
from rest_framework import serializers

from webhook_delivery.api.editing import EndpointSerializer
from webhook_delivery.api.fields import Coming, Float, Moment, Rate
from webhook_delivery.api.reading import Reasoned, Strict
from webhook_delivery.api.redelivering import Careful, Paced
from webhook_delivery.api.showing import DeliverySerializer, Shown

LONGEST_OVERLAP_HOURS = 24 * 366
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""There were no webhooks before."""
FROM_THEN_ON = "How many requests a second it is sent at most from then on; null: as before."


class Nothing(Strict):
    """Nothing has to be said."""


class PauseSerializer(Reasoned):
    """Until when, and why."""

    until = Coming(
        required=False, allow_null=True, help_text="Null: until somebody resumes it, or as before."
    )


class RotationSerializer(Reasoned):
    """For how long the secret before signs too."""

    overlap_hours = Float(
        default=24.0,
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        help_text="0: it is in the wrong hands.",
    )


class RecoverySerializer(Reasoned, Careful):
    """Since when what failed is sent again, how fast, and how carefully."""

    since = Moment()


class MissedSerializer(Reasoned, Paced):
    """Since when what was never made is made, and how fast."""

    since = Moment()

    def validate_since(self, since: datetime) -> datetime:
        if not EARLIEST <= since < timezone.now():
            raise serializers.ValidationError("Choose a moment that has passed, since 2000.")
        return since


class ProbeSerializer(Strict):
    """How fast it is sent what was held, if it is on again."""

    rate = Rate(default=None, help_text=FROM_THEN_ON)


class ResumeSerializer(Reasoned):
    """Why, and how fast it is sent what was held."""

    rate = Rate(default=None, help_text=FROM_THEN_ON)


class ProbedSerializer(Shown):
    """What came of a test that was waited for."""

    arrived = serializers.BooleanField()
    switched_on = serializers.BooleanField(help_text="Whether it is on again by this.")
    released = serializers.IntegerField(help_text="How many deliveries that were held.")
    delivery = DeliverySerializer()


class SwitchedSerializer(Shown):
    """What came of switching an endpoint."""

    changed = serializers.BooleanField(help_text="False: it was so already.")
    moved = serializers.IntegerField(help_text="How many deliveries were held, or released.")
    endpoint = EndpointSerializer()


class SecretSerializer(Shown):
    """A secret, shown this once."""

    secret = serializers.CharField(allow_null=True)
    notice = serializers.CharField(required=False)
