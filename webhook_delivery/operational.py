"""The events that tell operators' endpoints of our own work: their types, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WARNED, DISABLED, RECOVERED = "endpoint.warned", "endpoint.disabled", "endpoint.recovered"
DEAD, FINISHED = "delivery.dead", "redelivery.finished"

DESCRIPTIONS: Mapping[str, Promise] = {
    WARNED: _("An endpoint has failed for long, and may be switched off."),
    DISABLED: _("An endpoint was switched off, and no person did it."),
    RECOVERED: _("Something has arrived at an endpoint that had failed."),
    DEAD: _("A delivery has failed for the last time: it is a dead letter."),
    FINISHED: _("A redelivery of many has sent the last of what it was to send."),
}

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


ENDPOINT = _object(id=NUMBER, name=TEXT, tenant=TEXT)
SINCE = {"type": ["string", "null"], "format": "date-time"}
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    WARNED: _object(endpoint=ENDPOINT, failing_since=SINCE),
    DISABLED: _object(endpoint=ENDPOINT, reason=TEXT),
    RECOVERED: _object(endpoint=ENDPOINT, failing_since=SINCE),
    DEAD: _object(
        delivery=NUMBER,
        webhook_id=TEXT,
        event_type=TEXT,
        endpoint=ENDPOINT,
        attempts=NUMBER,
        reason=TEXT,
        status={"type": ["integer", "null"]},
    ),
    FINISHED: _object(redelivery=NUMBER, sent=NUMBER, left=NUMBER),
}
"""By type, the JSON Schema of `data`."""
