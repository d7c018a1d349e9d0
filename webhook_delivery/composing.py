"""Composes events: what is said becomes a row with its bytes, or is refused before any SQL."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from webhook_delivery.models import Event
from webhook_delivery.payloads import JSON, body_of
from webhook_delivery.validation import validate_content_type, validate_event_type, validate_text


class InvalidEvent(ValueError):
    """What `publish` was given cannot be stored; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """
    Something that happened: `NewEvent("order.shipped", {"number": 7}, tenant="acme")`.

    The arguments are those of `publish`, which says what each means.
    """

    event_type: str
    payload: Any = None
    _: KW_ONLY
    tenant: str = ""
    idempotency_key: str | None = None
    key: str = ""
    content_type: str = JSON
    source: str = ""


def compose(new: NewEvent) -> Event:
    """Build the row, body and all. Raises InvalidEvent and PayloadNotSerializable."""
    now = timezone.now()
    event = Event(
        event_type=new.event_type,
        tenant=new.tenant,
        idempotency_key=new.idempotency_key,
        key=new.key,
        content_type=new.content_type,
        source=new.source[:200],
        created_at=now,
    )
    _validate(event)
    if event.content_type != JSON and not isinstance(new.payload, bytes):
        raise InvalidEvent(f"{new.event_type!r}: a content_type is for a payload given as bytes.")
    event.body = body_of(new.event_type, new.payload, at=now)
    return event


def _validate(event: Event) -> None:
    """A database that refuses a value would take the caller's transaction with it."""
    try:
        validate_event_type(event.event_type)
        validate_text("tenant", event.tenant, longest=100)
        validate_content_type(event.content_type)
        validate_text("source", event.source, longest=200)
        validate_text("key", event.key, longest=200)
        if event.idempotency_key is not None:
            validate_text("idempotency_key", event.idempotency_key, longest=200, shortest=1)
    except ValidationError as error:
        raise InvalidEvent(f"{event.event_type!r}: {error.messages[0]}") from None
