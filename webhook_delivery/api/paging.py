"""Pages that stay where they are while rows are added: each begins behind the last one's end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from webhook_delivery.references import number_in

SIZE, LARGEST = 50, 200


class Pages(CursorPagination):
    """By number, the newest first; nothing is counted."""

    ordering = "-id"
    page_size = SIZE
    max_page_size = LARGEST
    page_size_query_param = "page_size"
    invalid_cursor_message = "That is no cursor of ours: take `next` or `previous` from a page."

    def get_page_size(self, request: Request) -> int:
        asked = number_in(request.query_params.get("page_size", str(SIZE)))
        if asked is None or not 1 <= asked <= LARGEST:
            raise ValidationError({"page_size": [f"Use a number from 1 to {LARGEST}."]})
        return asked

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """With the bounds, of which DRF does not tell."""
        size = {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": SIZE}
        cursor, page_size = super().get_schema_operation_parameters(view)
        text = {"type": "string", "pattern": r"^[^\x00\s]+$"}
        return [{**cursor, "schema": text}, {**page_size, "schema": size}]

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor and cursor.position is not None and not self.is_position(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def is_position(self, text: str) -> bool:
        return number_in(text) is not None


class EventPages(Pages):
    """Ids of events are in the order of time."""

    def is_position(self, text: str) -> bool:
        try:
            UUID(text)
        except ValueError:
            return False
        return True
