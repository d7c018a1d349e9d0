"""
Puts what a test wants in the place of what a process does: sockets, threads, and the doorbell.

The app has no switch for this that could be left on: names in its modules are replaced, for as long
as a test runs, in all of its threads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from unittest.mock import patch

from webhook_delivery import doorbell, hearing
from webhook_delivery import drain as draining
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.hearing import PAGE, Kind, Subscriber, first_page
from webhook_delivery.models import Endpoint, Secret
from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.testing.memory import InTurn, Memory, MemoryTransport

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - that of the vectors; for tests
"""The signing secret of endpoints that exist for a test only."""

NOBODY = 0
"""No endpoint has this number."""


@contextmanager
def standing_in(memory: Memory) -> Iterator[None]:
    """Send into memory, one after the other; hear what nobody hears; and wake nobody."""
    with ExitStack() as stack:
        for module, name, stand_in in (
            (draining, "Transport", partial(MemoryTransport, memory)),
            (draining, "Flights", InTurn),
            (hearing, "first_page", CatchAll()),
            (hearing, "anybody", _somebody),
            (doorbell, "ring", _wake_nobody),
        ):
            stack.enter_context(patch.object(module, name, stand_in))
        yield


def _somebody(event_types: Collection[str], *, using: str) -> bool:
    return True


def _wake_nobody(*, using: str) -> bool:
    return False


class CatchAll:
    """
    An endpoint that hears what nobody has subscribed to, in every tenant.

    So a registered model publishes in a test that has no endpoints, and where there are some,
    theirs are the only deliveries.
    """

    def __init__(self) -> None:
        self._endpoints: dict[str, int] = {}

    def __call__(self, kinds: Collection[Kind], *, using: str) -> list[Subscriber]:
        found = first_page(kinds, using=using)
        unheard = [] if len(found) == PAGE else _unheard(kinds, found)
        return [*found, *self._hear(unheard, using)] if unheard else found

    def _hear(self, kinds: Collection[Kind], using: str) -> Iterator[Subscriber]:
        endpoint, moment = self._endpoint(using) or self._create(using)
        for kind in kinds:
            subscribed = endpoint, Endpoint.State.ON, False, Endpoint.Format.STANDARD, 0
            yield Subscriber(*subscribed, *kind, moment)

    def _endpoint(self, using: str) -> tuple[int, datetime] | None:
        """Asked each time: what created it may have been rolled back."""
        rows = Endpoint.objects.using(using).filter(pk=self._endpoints.get(using, NOBODY))
        return rows.values_list("pk", Now()).first()

    def _create(self, using: str) -> tuple[int, datetime]:
        endpoint = create_endpoint("hears what nobody else does", using=using)
        self._endpoints[using] = endpoint.pk
        row = self._endpoint(using)
        assert row
        return row


def _unheard(kinds: Collection[Kind], found: Collection[Subscriber]) -> list[Kind]:
    heard = {(row.tenant, row.pattern) for row in found}
    return [
        kind
        for kind in kinds
        if not any((kind.tenant, each) in heard for each in patterns_matching(kind.event_type))
    ]


def create_endpoint(name: str, *, using: str, url: str = "", **fields: object) -> Endpoint:
    """Create an endpoint with a secret; without a URL, at one that leads nowhere."""
    endpoint = Endpoint(name=name, url=url or _nowhere(), **fields)
    endpoint.save(using=using)
    if not url:
        endpoint.url = f"{endpoint.url}{endpoint.pk}"
        endpoint.save(using=using)
    Secret.keep(endpoint, SECRET, using=using)
    return endpoint


def _nowhere() -> str:
    """A URL that may be sent to by the settings, and that no name server knows (RFC 6761 §6.5)."""
    ports = tuple(settings.ALLOWED_PORTS)
    port = f":{ports[0]}" if ports and 443 not in ports else ""
    return f"https://webhooks.example{port}/"
