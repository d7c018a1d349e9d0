"""How the API is described in OpenAPI: what each act takes and answers, and how it may fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from webhook_delivery.api.fields import LARGEST
from webhook_delivery.api.problems import CONTENT_TYPE

KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!#-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="Of your choice, as a UUID: asked twice with it, it is done once.",
)
TEXT, SOME_TEXT = r"^[^\x00]*$", r"^[^\x00]*[^\x00\s][^\x00]*$"
"""No database takes NUL in a text."""
NUMBER = OpenApiParameter(
    "id", {"type": "integer", "minimum": 1, "maximum": LARGEST}, OpenApiParameter.PATH
)
EVENT = OpenApiParameter(
    "id",
    {"type": "string", "pattern": "^(evt_)?[0-9a-f]{32}$"},
    OpenApiParameter.PATH,
    description="A `webhook-id`, or an event's id.",
)
PROBLEMS = {
    400: "Something that was sent has no meaning here: `errors` names it.",
    401: "Sign in first.",
    403: "That takes a permission that you do not have: `detail` names it.",
    404: "There is no such thing, or not for you.",
    409: "Its state does not allow that now; or the same request is being done.",
    413: "The body is too large.",
    415: "Send JSON.",
    422: "The key came with another body before; or a query took too long and was stopped.",
    429: "Too many requests: `Retry-After` says when to go on.",
}


class ErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one part of what was sent."""

    pointer = serializers.CharField(help_text="Where: a JSON pointer.")
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong, after RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What to do about it.")
    errors = ErrorSerializer(many=True, required=False)  # type: ignore[assignment]


@dataclass(frozen=True)
class Said:
    """What an act takes and answers, and what may be done with the answer next."""

    answer: Any
    body: type[serializers.Serializer[Any]] | None = None
    status: int = 200
    example: Any = None
    """Of a body."""
    once: bool = False
    """Whether it takes an Idempotency-Key."""
    also: dict[int, Any] = field(default_factory=dict)
    """What else it answers, by status."""
    links: dict[str, str] = field(default_factory=dict)
    """Acts on what is in the answer: where the number of that is."""


class Describing(AutoSchema):
    """Reads what a view says of itself."""

    @property
    def said(self) -> Said:
        found: Said = self.view.said[self.view.action]  # type: ignore[attr-defined]
        return found

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation: Any = super().get_operation(*args, **kwargs)
        if self.said.example is not None:
            [media] = operation["requestBody"]["content"].values()
            media["examples"] = {"usual": {"value": self.said.example}}
        if self.said.links:
            operation["responses"][str(self.said.status)]["links"] = {
                operation_id(act): {"operationId": operation_id(act), "parameters": {"id": where}}
                for act, where in self.said.links.items()
            }
        return operation

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        """Bodies are closed: what is not known is refused."""
        found = super()._map_basic_serializer(serializer, direction)
        return {**found, "additionalProperties": False} if direction == "request" else found

    def _map_serializer_field(self, field: Any, direction: Any, *args: Any, **more: Any) -> Any:
        """Blanks around are taken away before it is asked whether anything is left."""
        found = super()._map_serializer_field(field, direction, *args, **more)
        plain = type(field) is serializers.CharField or type(field).__name__ == "Text"
        if direction != "request" or not plain:
            return found
        return {**found, "pattern": TEXT if field.allow_blank else SOME_TEXT}

    def _get_filter_parameters(self) -> Any:
        found = super()._get_filter_parameters()
        for parameter in found:
            schema = parameter["schema"]
            if schema == {"type": "string"}:
                schema["pattern"] = SOME_TEXT
            if schema.get("type") == "array":
                schema["minItems"] = 1
        return found

    def get_operation_id(self) -> str:
        return operation_id(self.view.act)  # type: ignore[attr-defined]

    def get_tags(self) -> list[str]:
        return [self.view.resource]  # type: ignore[attr-defined]

    def get_summary(self) -> str:
        return self.get_description().partition(". ")[0].partition(".\n")[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override] # as drf-spectacular has it
        method = getattr(self.view, self.view.action)  # type: ignore[attr-defined]
        return cleandoc(method.__doc__ or type(self.view).__doc__ or "")

    def get_request_serializer(self) -> Any:
        return self.said.body

    def get_response_serializers(self) -> Any:
        said = self.said
        failures = {
            code: OpenApiResponse(ProblemSerializer, PROBLEMS[code]) for code in self._failures()
        }
        found = OpenApiResponse(said.answer, "It went well.")
        others = {code: OpenApiResponse(kind) for code, kind in said.also.items()}
        return {said.status: found, **failures, **others}

    def get_override_parameters(self) -> list[Any]:
        named = [self.view.identified] if "{id}" in self.path else []  # type: ignore[attr-defined]
        return [*named, KEY] if self.said.once else named

    def _failures(self) -> Iterator[int]:
        yield from (400, 401, 403)
        if "{" in self.path or self._lists():
            yield 404
        if self.method != "GET":
            yield from (409, 413, 415)
        yield from (422, 429)

    def _lists(self) -> bool:
        return bool(self.view.action == "list")  # type: ignore[attr-defined]

    def get_filter_backends(self) -> list[Any]:
        return self.view.filter_backends if self._lists() else []  # type: ignore[attr-defined]

    def _get_pagination_parameters(self) -> list[Any]:
        paginator = self._get_paginator() if self._lists() else None
        return paginator.get_schema_operation_parameters(self.view) if paginator else []

    def _is_list_view(self, serializer: Any = None) -> bool:
        """Whether the answer is a page as all others; that of the queue tells more."""
        return self._lists() and self.said.answer is self.view.serializer_class  # type: ignore[attr-defined]

    def _get_response_for_code(
        self, serializer: Any, status_code: str, media_types: Any = None, direction: Any = ""
    ) -> Any:
        response = getattr(serializer, "response", None)
        types = [CONTENT_TYPE] if response is ProblemSerializer else media_types
        way = direction or "response"
        return super()._get_response_for_code(serializer, status_code, types, way)


def operation_id(act: str) -> str:
    return act.replace(".", "_")
