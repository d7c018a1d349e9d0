"""
Writes events as CloudEvents 1.0, from the bytes that were frozen when they happened (pure).

JSON format: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
HTTP binding: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

JSON = "application/json"
STRUCTURED = "application/cloudevents+json"
IS_JSON = re.compile(r"(application/json|[^;]*\+json) *(;.*)?", re.IGNORECASE)
ENVELOPE = re.compile(rb'{"type":"([^"]+)","timestamp":"[0-9T:.Z+-]+","data":(.+)}', re.DOTALL)
"""What `payloads.body_of` writes."""
PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
"""What a header's value holds as it is (HTTP binding §3.1.3.2)."""


@dataclass(frozen=True, slots=True)
class Happened:
    """What is known of an event, by CloudEvents' names where they are not ours."""

    webhook_id: str
    event_type: str
    at: datetime
    content_type: str
    body: bytes
    source: str
    """A URI: where events come from."""
    subject: str = ""
    """The object that it happened to."""
    expires_at: datetime | None = None
    """Ours to heed: CloudEvents does not tell it."""
    traceparent: str = ""
    """The trace that published it: headers may tell it, the body never does."""

    @property
    def data(self) -> bytes:
        """The payload, without the envelope that Standard Webhooks puts around it."""
        return self.enveloped or self.body

    @property
    def enveloped(self) -> bytes:
        """The payload, if it is in our envelope; what was given as bytes may only look like it."""
        found = ENVELOPE.fullmatch(self.body) if self.content_type == JSON else None
        if found and found[1] == self.event_type.encode() and _is_json(found[2]):
            return found[2]
        return b""

    def attributes(self) -> Iterator[tuple[str, str]]:
        yield "specversion", "1.0"
        yield "id", self.webhook_id
        yield "source", self.source
        yield "type", self.event_type
        yield "time", self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if self.subject:
            yield "subject", self.subject


def structured(event: Happened) -> bytes:
    """Return the body that holds it all; its content type is `STRUCTURED`."""
    attributes = {**dict(event.attributes()), "datacontenttype": event.content_type}
    head = json.dumps(attributes, separators=(",", ":")).encode()[:-1]
    return head + b"," + _member(event) + b"}"


def binary(event: Happened) -> dict[str, str]:
    """Return the headers that go with `event.data` as the body."""
    return {f"ce-{name}": quote(value, safe=PRINTABLE) for name, value in event.attributes()}


def _member(event: Happened) -> bytes:
    """JSON as it is, byte by byte; anything else in base64."""
    if payload := event.enveloped or _json_in(event):
        return b'"data":' + payload
    return b'"data_base64":"' + base64.b64encode(event.body) + b'"'


def _json_in(event: Happened) -> bytes:
    told = IS_JSON.fullmatch(event.content_type) and _is_json(event.body)
    return event.body if told else b""


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
