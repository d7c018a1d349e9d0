"""What a drain holds, and how much more it takes on of each endpoint: as much as comes back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from webhook_delivery.claims import Claim, Finding
from webhook_delivery.conf import settings
from webhook_delivery.outcomes import Fault
from webhook_delivery.pacing import failing

FIRST = 4
"""What an endpoint gets that has not answered yet: so much can hang before it is noticed."""
GROWTH = 2
LARGEST = 1024


class Holdings:
    """
    Claims from when they are made until they are settled, or lost.

    An endpoint's window grows with each answer and is halved by each failure, as TCP's does
    (RFC 5681).
    """

    def __init__(self) -> None:
        self._claims: dict[int, Claim] = {}
        self._windows: dict[int, int] = {}
        self._by_endpoint: Counter[int] = Counter()
        self._answered: dict[int, bool] = {}
        """Whether an endpoint's last request was answered, however."""
        self._failures: Counter[int] = Counter()
        """In a row, since this drain began."""
        self._counting = threading.Lock()
        self._stopping: dict[int, int] = {}
        """Endpoints that asked for no more, by the delivery that they were asked about."""

    def __len__(self) -> int:
        return len(self._claims)

    def room(self, endpoint: int, *, at_the_end: bool = False, newcomers: bool = False) -> int:
        """
        How many more of the endpoint's deliveries may be taken on.

        at_the_end: nothing of one that has yet to answer its first, or let the last time out.
        newcomers: nothing of one of which much is held.
        """
        held = self._by_endpoint[endpoint]
        barred = newcomers and held >= settings.CONCURRENCY
        if barred or self.stopped(endpoint) or (at_the_end and not self._answers(endpoint)):
            return 0
        return max(0, self._window(endpoint) - held)

    def stop(self, claim: Claim) -> None:
        """Its receiver asked for no more: take on nothing until that is settled. For any thread."""
        self._stopping[claim.delivery_id] = claim.endpoint_id

    def stopped(self, endpoint: int) -> bool:
        return endpoint in tuple(self._stopping.values())

    def take(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._claims[claim.delivery_id] = claim
            self._by_endpoint[claim.endpoint_id] += 1

    def drop(self, claims: Iterable[Claim]) -> None:
        """Hold these no longer; unless the delivery was claimed anew: that claim goes on."""
        for claim in claims:
            self._stopping.pop(claim.delivery_id, None)
            if self._claims.get(claim.delivery_id) is claim:
                del self._claims[claim.delivery_id]
                self._by_endpoint[claim.endpoint_id] -= 1

    def drop_ended(self) -> None:
        """A claim whose lease has ended is somebody else's now."""
        self.drop([claim for claim in self._claims.values() if claim.ended()])

    def learn(self, finding: Finding) -> None:
        endpoint = finding.claim.endpoint_id
        window, failed = self._window(endpoint), failing(finding.outcome)
        self._windows[endpoint] = max(1, window // 2) if failed else min(LARGEST, window + GROWTH)
        self._answered[endpoint] = finding.outcome.fault is not Fault.TIMEOUT

    def trips(self, finding: Finding) -> bool:
        """Whether so many failed in a row that its breaker will open. For any thread, once each."""
        endpoint, failed = finding.claim.endpoint_id, failing(finding.outcome)
        with self._counting:
            self._failures[endpoint] = self._failures[endpoint] + 1 if failed else 0
            return self._failures[endpoint] >= settings.BREAKER_FAILURES

    def _answers(self, endpoint: int) -> bool:
        return self._answered.get(endpoint, not self._by_endpoint[endpoint])

    def _window(self, endpoint: int) -> int:
        return self._windows.get(endpoint, FIRST)
