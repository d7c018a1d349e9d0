"""Turns anything into the exact body bytes that will be signed and sent, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from webhook_delivery.conf import settings

JSON = "application/json"


class Encoder(DjangoJSONEncoder):
    """Django's, which also writes what is read row by row, as REST framework's renderer does."""

    def default(self, o: Any) -> Any:
        return list(o) if isinstance(o, QuerySet | Iterator) else super().default(o)


class PayloadNotSerializable(TypeError):
    """A payload must be bytes, or what Django's JSON encoder can write, and not too large."""


def body_of(event_type: str, payload: Any, *, at: datetime) -> bytes:
    """
    Return the bytes to send: `bytes` as they are, anything else in the Standard Webhooks envelope.

    The envelope is `{"type": …, "timestamp": …, "data": payload}`, in ASCII, without NaN.
    Raises PayloadNotSerializable, before any SQL, so that the caller's transaction stays usable.
    """
    written = payload if isinstance(payload, bytes) else _envelope(event_type, payload, at)
    if len(written) > settings.MAX_PAYLOAD_BYTES:
        raise PayloadNotSerializable(
            f"The payload of {event_type} has {len(written)} bytes; "
            f"MAX_PAYLOAD_BYTES allows {settings.MAX_PAYLOAD_BYTES}."
        )
    return written if isinstance(written, bytes) else written.encode()


def _envelope(event_type: str, payload: Any, at: datetime) -> str:
    """In ASCII, so that it has as many bytes as characters."""
    envelope = {"type": event_type, "timestamp": at, "data": payload}
    try:
        return json.dumps(envelope, cls=Encoder, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadNotSerializable(f"The payload of {event_type}: {error}") from error
