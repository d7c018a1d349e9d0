"""Whoever feeds a redelivery of many is killed: nothing is sent twice, and nothing left out."""

import signal
from collections import Counter

import pytest

from tests import processes
from tests.conftest import end_leases, make_endpoint
from tests.test_batches import dead_letters
from webhook_delivery import batches
from webhook_delivery.models import Delivery, RedeliveryBatch, Transition
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

MANY, KILLS = 200, 3


def test_a_redelivery_of_many_goes_on_where_it_was_when_its_workers_are_killed(receiver):
    make_endpoint(receiver.url())
    dead_letters(MANY)
    batch = batches.start(selection_of(), rate=60, once=False, by="ann")
    doubled = 0
    for kill in range(1, KILLS + 1):
        with processes.drain_loop() as worker:
            receiver.wait_for(kill * MANY // (KILLS + 2))
            worker.signal(signal.SIGKILL)
        doubled += Delivery.objects.sending().count()
        end_leases()
    with processes.drain_loop():
        processes.wait_until(lambda: Delivery.objects.delivered().count() == MANY, seconds=30)

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (RedeliveryBatch.State.DONE, MANY)
    assert Transition.objects.filter(batch=batch).count() == MANY
    arrived = Counter(each.webhook_id for each in receiver.received)
    assert len(arrived) == MANY
    assert sum(arrived.values()) <= MANY + doubled
