"""The pytest plugin; it imports nothing that needs Django before a fixture is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from webhook_delivery.testing.receiver import Receiver
    from webhook_delivery.testing.webhooks import Webhooks


@pytest.fixture
def webhooks(db: None) -> Iterator[Webhooks]:
    """Catch what this test publishes, and send it through memory: `docs/testing.md`."""
    from webhook_delivery.testing.webhooks import Webhooks

    with Webhooks() as running:
        yield running


@pytest.fixture
def webhook_receiver() -> Iterator[Receiver]:
    """Start a receiver on a real socket, and let endpoints be on this machine."""
    from webhook_delivery.conf import settings
    from webhook_delivery.testing.permitting import loopback_permitted
    from webhook_delivery.testing.receiver import Receiver

    with loopback_permitted(), Receiver(prefix=settings.HEADER_PREFIX) as running:
        yield running
