"""Makes a webhook as a sender would, for tests of a view that receives."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from webhook_delivery.payloads import JSON, body_of
from webhook_delivery.signing import headers, key_of


def incoming(
    event_type: str,
    data: Any = None,
    *,
    secret: str,
    webhook_id: str = "",
    at: float | None = None,
    prefix: str = "webhook-",
) -> dict[str, Any]:
    """
    Return arguments for Django's test client: `client.post("/hook", **incoming(…))`.

    data: what is in the body's `data`; bytes are the whole body.
    secret: `whsec_` or `whsk_`.
    webhook_id: default: a new one. at: when it is sent, in Unix seconds; default: now.
    """
    sent = time.time() if at is None else at
    body = body_of(event_type, data, at=datetime.fromtimestamp(sent, UTC))
    name = webhook_id or f"evt_{uuid.uuid4().hex}"
    signed = headers(name, int(sent), body, [key_of(secret)], prefix=prefix)
    return {"data": body, "content_type": JSON, "headers": signed}
