"""What most tests need: a receiver, endpoints, and ways to send what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db.models import F

from example_project.receiver import Receiver
from webhook_delivery import drain as draining
from webhook_delivery import lifecycle
from webhook_delivery.models import Delivery, Endpoint, Secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.secrets["*"] = SECRET
        yield running


def make_endpoint(url: str = "https://receiver.example/", *patterns: str, **fields) -> Endpoint:
    fields.setdefault("name", url.rpartition("/")[2] or "receiver")
    endpoint = Endpoint.objects.create(url=url, **fields).subscribe(*patterns or ["*"])
    Secret.keep(endpoint, SECRET)
    return endpoint


@pytest.fixture
def endpoint(db, receiver: Receiver) -> Endpoint:
    return make_endpoint(receiver.url())


@pytest.fixture
def send_due(db) -> Callable[[], draining.Report]:
    """Drain once, in this process, what is due now."""

    def send() -> draining.Report:
        lifecycle.rescue(using="default")
        return draining.drain(using="default", seconds=10)

    return send


def make_due() -> None:
    """Let the waiting time of every pending delivery be over."""
    Delivery.objects.pending().update(due_at=F("due_at") - timedelta(days=30))


def end_leases() -> None:
    """Let the lease of every claim have ended."""
    Delivery.objects.sending().update(due_at=F("due_at") - timedelta(days=30))
