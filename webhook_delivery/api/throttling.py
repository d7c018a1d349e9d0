"""How often a user may ask: by scopes that a project sets where it sets all of its rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

RATES: Mapping[str, str | None] = {
    "webhooks-read": "1200/min",
    "webhooks-change": "300/min",
    "webhooks-drain": "30/min",
}
"""Unless `DEFAULT_THROTTLE_RATES` has others of these names; None: as often as one likes."""


class Throttle(SimpleRateThrottle):
    """One for each scope, of which a view says which is its."""

    def __init__(self) -> None:
        """The rate is asked for when the view is known."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.scope = view.webhook_scope  # type: ignore[attr-defined]
        rate: Any = {**RATES, **api_settings.DEFAULT_THROTTLE_RATES}[self.scope]
        if rate is None:
            return True
        self.rate = rate
        self.num_requests, self.duration = self.parse_rate(rate)
        return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}
