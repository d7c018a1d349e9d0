"""What a view is given: the webhook that came, after it was verified."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from django.http import HttpRequest


@dataclass(frozen=True)
class Webhook:
    """A webhook that was verified: id, time and body are what the sender has signed."""

    id: str
    """The same at each attempt."""
    timestamp: datetime
    """When this attempt was sent."""
    body: bytes = field(repr=False)
    attempt: int | None = None
    """Which attempt this is, the first is 1; None if the sender does not tell. Not signed."""

    def json(self) -> Any:
        """Return the body, read as JSON. Raises ValueError for one that is none."""
        return json.loads(self.body)

    @property
    def event_type(self) -> str:
        """The `type` in the body; empty if it has none."""
        named = self._envelope().get("type")
        return named if isinstance(named, str) else ""

    @property
    def data(self) -> Any:
        """The `data` in the body; the whole of a body that has none. Raises ValueError as json."""
        envelope = self._envelope()
        return envelope["data"] if "data" in envelope else self.json()

    def _envelope(self) -> dict[str, Any]:
        try:
            document = self.json()
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    @classmethod
    def of(cls, request: HttpRequest, *, prefix: str) -> Self:
        """Read it from a request that was verified."""
        attempt = request.headers.get(f"{prefix}attempt", "")
        return cls(
            id=request.headers[f"{prefix}id"],
            timestamp=datetime.fromtimestamp(int(request.headers[f"{prefix}timestamp"]), UTC),
            body=request.body,
            attempt=int(attempt) if attempt.isascii() and attempt.isdecimal() else None,
        )


class WebhookRequest(HttpRequest):
    """A request with its webhook; for annotations: what comes is Django's own request."""

    webhook: Webhook
