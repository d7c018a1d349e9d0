"""The kinds of values that the API speaks: moments in UTC, numbers of rows, counts."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from rest_framework import serializers

LARGEST = 2**63 - 1
"""What a column of numbers holds; SQLite and its kin fail at more."""


class Moment(serializers.DateTimeField):
    """In ISO 8601 and UTC, whatever the project's own API writes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"format": "iso-8601", "default_timezone": UTC, **options})


class Number(serializers.IntegerField):
    """The number of a row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": LARGEST, **options})
