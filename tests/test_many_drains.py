"""Sixteen drains at once, and no fault among them: each delivery is sent exactly once."""

import json
import time

import pytest

from tests.conftest import make_endpoint
from tests.counting import CountingReceiver
from tests.processes import environment, run
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event

pytestmark = pytest.mark.django_db(transaction=True)

DRAINS, ROWS = 16, 10_000
PATIENT = {
    "CONCURRENCY": 16,
    "MAX_TIMEOUT_SECONDS": 60,
    "TIMEOUT_SECONDS": 60,
    "LEASE_MARGIN_SECONDS": 60,
}
"""No lease may end only because the machine is slow: then a second request would be right."""


def owe(count: int, endpoint: Endpoint) -> None:
    events = [Event(event_type="order.paid", body=b"{}") for _ in range(count)]
    Event.objects.bulk_create(events, batch_size=500)
    owed = [
        Delivery(event=event, event_type="order.paid", endpoint=endpoint, due_at=Now())
        for event in events
    ]
    Delivery.objects.bulk_create(owed, batch_size=500)


def drain_at_once(path: str) -> list[int]:
    env = environment() | {"WEBHOOK_TEST_CLAIM_PATH": path}
    env["WEBHOOK_TEST_SETTINGS"] = json.dumps(PATIENT)
    return json.loads(run("-m", "tests.drains", str(DRAINS), env=env))


def drains_share(path: str, rows: int) -> None:
    with CountingReceiver() as receiver:
        owe(rows, make_endpoint(receiver.url()))
        began = time.monotonic()

        attempts = drain_at_once(path)

        print(f"{path} {rows=} {time.monotonic() - began:.1f} s {attempts=}")
        assert sum(attempts) == receiver.received.total() == len(receiver.received) == rows
    assert Delivery.objects.delivered().count() == Attempt.objects.count() == rows
    assert sum(made > 0 for made in attempts) > 1


@pytest.mark.parametrize("path", ["skip_locked", "compare_and_set"])
def test_sixteen_drains_send_each_of_many_once(path):
    drains_share(path, ROWS // 10)


@pytest.mark.nightly
@pytest.mark.parametrize("path", ["skip_locked", "compare_and_set"])
def test_sixteen_drains_send_each_of_ten_thousand_once(path):
    drains_share(path, ROWS)
