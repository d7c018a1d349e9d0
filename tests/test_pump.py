"""Feeding redeliveries where only drains from cron run."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.test_batches import dead_letters
from webhook_delivery import batches, loop, publish, pump
from webhook_delivery.models import Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

State = RedeliveryBatch.State


@pytest.fixture
def endpoint(receiver) -> Endpoint:
    return make_endpoint(receiver.url())


def waits_for_its_retry() -> Delivery:
    """One that falls due in three seconds."""
    [delivery] = publish("invoice.paid", {}).deliveries.all()
    due = {"due_at": timezone.now() + timedelta(seconds=3)}
    Delivery.objects.filter(pk=delivery.pk).update(**due, attempts_made=1)
    return delivery


@pytest.mark.parametrize("rate", [None, 20])
def test_one_drain_feeds_a_redelivery_to_its_end(receiver, endpoint, monkeypatch, rate):
    monkeypatch.setattr(pump, "CHUNK", 5)
    dead_letters(12)
    batch = batches.start(selection_of(), rate=rate)

    report = loop.once(using="default", seconds=30)

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 12)
    assert report.delivered == len(receiver.received) == 12


def test_it_makes_no_more_attempts_than_it_may_and_does_not_stay_after_them(receiver, endpoint):
    dead_letters(30)
    batch = batches.start(selection_of(), rate=20)

    report = loop.once(using="default", seconds=600, most=5)

    batch.refresh_from_db()
    assert report.attempts == len(receiver.received) == 5
    assert batch.state == State.RUNNING


@pytest.mark.parametrize("change", [{"state": State.PAUSED}, {"state": State.DONE}, {"hours": 1}])
def test_it_stays_for_nothing_that_cannot_be_fed_in_its_time(endpoint, change):
    dead_letters(1)
    batches.start(selection_of())
    later = timezone.now() + timedelta(hours=change.pop("hours", 0))
    RedeliveryBatch.objects.update(due_at=later, **change)
    retry = waits_for_its_retry()

    report = loop.once(using="default", seconds=20)

    assert report.attempts == 0
    assert Delivery.objects.pending().get() == retry


def test_it_ends_when_its_time_is_over(endpoint):
    dead_letters(60)
    batch = batches.start(selection_of(), rate=4)

    report = loop.once(using="default", seconds=1)

    batch.refresh_from_db()
    assert batch.state == State.RUNNING
    assert 0 < report.delivered < 30


def test_it_ends_with_the_redelivery_whatever_falls_due_later(receiver, endpoint):
    dead_letters(3)
    receiver.replies(503, 200, 200)
    batch = batches.start(selection_of(), rate=20, once=False)

    report = loop.once(using="default", seconds=60)

    batch.refresh_from_db()
    assert batch.state == State.DONE
    assert (report.delivered, report.retried) == (2, 1)
    assert Delivery.objects.pending().count() == 1
