"""Clusters are killed and stopped at random: nothing is lost, stuck, or sent after a success."""

import os
import signal
import threading

import pytest
from django.db import connection

from tests import processes
from tests.chaos.faults import PROCESS_FAULTS
from tests.conftest import end_leases, make_endpoint
from webhook_delivery import publish
from webhook_delivery.models import Attempt, Delivery, Doorbell

pytestmark = pytest.mark.django_db(transaction=True)

BROKER = "redis" if connection.vendor == "postgresql" else "orm"
LONG = os.environ.get("CHAOS_SECONDS", "120")


@pytest.mark.parametrize("broker", [BROKER], indirect=True)
def test_clusters_that_are_broken_at_random_keep_every_promise(broker):
    faults = ",".join(PROCESS_FAULTS)

    processes.chaos("--seconds", "12", "--faults", faults, broker=broker)


@pytest.mark.nightly
@pytest.mark.parametrize("clusters", ["1", "3"])
def test_clusters_that_are_broken_for_minutes_keep_every_promise(broker, clusters):
    faults = ",".join(PROCESS_FAULTS)

    processes.chaos(*("--seconds", LONG, "--faults", faults, "--clusters", clusters), broker=broker)


@pytest.fixture
def stopped_worker(receiver):
    """A worker that stands still while its request is answered 503, and whose lease has ended."""
    make_endpoint(receiver.url())
    receiver.replies(503, 200)
    receiver.thinks = 0.5
    with processes.drain_loop() as worker:
        # While it stood still in the middle of its first sweep, nobody else could write to SQLite.
        swept = Doorbell.objects.exclude(swept_at=None)
        processes.wait_until(swept.exists, seconds=20)
        publish("a", {})
        receiver.wait_for(1)
        worker.signal(signal.SIGSTOP)
        end_leases()
        yield worker


def assert_that_only_the_other_recorded_something(stopped_worker, receiver):
    stopped_worker.stop()
    attempts = Attempt.objects.values_list("number", "fault", "status")
    assert list(attempts) == [(1, "worker_lost", None), (2, "", 200)]
    assert Delivery.objects.get().state == "delivered"
    assert len(receiver.received) == 2
    assert "settle" not in stopped_worker.log_tail(lines=1000)


def test_a_worker_that_stood_still_cannot_undo_what_another_recorded(
    receiver, stopped_worker, send_due
):
    assert send_due().delivered == 1

    stopped_worker.signal(signal.SIGCONT)

    assert_that_only_the_other_recorded_something(stopped_worker, receiver)


def test_a_worker_that_stood_still_cannot_settle_while_another_is_sending(
    receiver, stopped_worker, send_due
):
    def go_on_when_the_other_sends():
        receiver.wait_for(2)
        stopped_worker.signal(signal.SIGCONT)

    going_on = threading.Thread(target=go_on_when_the_other_sends)
    going_on.start()
    assert send_due().delivered == 1
    going_on.join()

    assert_that_only_the_other_recorded_something(stopped_worker, receiver)
