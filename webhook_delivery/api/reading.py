"""Reads what is sent: JSON, no larger and no deeper than is sensible, without unknown names."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from webhook_delivery.api.problems import TooLarge

LARGEST_BODY = 1024 * 1024


class BoundedJSONParser(JSONParser):
    """JSON as its standard has it, without NaN, whatever the project's own API takes."""

    strict = True

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise TooLarge(f"A body has {LARGEST_BODY} bytes at most.")
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("That is nested too deeply.") from None


class Strict(serializers.Serializer[Any]):
    """Refuses names that it does not know: a mistyped filter must not choose everything."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := sorted(map(str, data.keys() - self.fields))):
            named = ", ".join(sorted(self.fields))
            said = f"This is not known here; what is: {named}." if named else "Not known here."
            raise serializers.ValidationError({name: [said] for name in unknown})
        return super().to_internal_value(data)


class Reasoned(Strict):
    """Why; kept with who and when."""

    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=200,
        help_text="Why; kept with who did it, and when.",
    )
