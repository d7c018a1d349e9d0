"""The kinds of values that the API speaks: moments in UTC, numbers of rows, counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from webhook_delivery.endpoints import LONGEST_PAUSE
from webhook_delivery.pacing import FASTEST, SLOWEST

LARGEST = 2**63 - 1
"""What a column of numbers holds; SQLite and its kin fail at more."""


EARLIEST, LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""Nothing happened before or happens later; beyond, databases fail at what a time zone makes."""


def within(moment: datetime) -> datetime:
    """Bring a moment into the span that databases know."""
    return min(max(moment, EARLIEST), LATEST)


class Moment(serializers.DateTimeField):
    """In ISO 8601 and UTC, whatever the project's own API writes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"format": "iso-8601", "default_timezone": UTC, **options})

    def enforce_timezone(self, value: datetime) -> datetime:
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return within(aware)

    def to_representation(self, value: datetime) -> Any:
        return super().to_representation(value.astimezone(UTC))


class Coming(Moment):
    """A moment to come, within a year."""

    def to_internal_value(self, value: Any) -> Any:
        moment, now = super().to_internal_value(value), timezone.now()
        if not now < moment <= now + LONGEST_PAUSE:
            raise serializers.ValidationError("Choose a moment within the next year.")
        return moment


class Float(serializers.FloatField):
    """A number that is neither infinite nor too large to be one."""

    def to_internal_value(self, data: Any) -> float:
        try:
            value = super().to_internal_value(data)
        except OverflowError:
            value = float("inf")
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class Number(serializers.IntegerField):
    """The number of a row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": LARGEST, **options})


class Rate(Float):
    """How many a second, at most; null: no other limit than there is."""

    def __init__(self, **given: Any) -> None:
        bounds = {"min_value": SLOWEST, "max_value": FASTEST, "allow_null": True}
        super().__init__(**{**bounds, **given})
