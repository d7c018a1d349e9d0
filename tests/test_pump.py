"""Feeding redeliveries: where only drains from cron run, and past who can be sent nothing."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.test_batches import dead_letters, due_again, feed, run
from webhook_delivery import batches, lifecycle, loop, publish, pump
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Endpoint, Lane, RedeliveryBatch
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

State = RedeliveryBatch.State
ONE_AN_HOUR = 1 / 3600


@pytest.fixture
def endpoint(receiver) -> Endpoint:
    return make_endpoint(receiver.url())


def waits_for_its_retry() -> Delivery:
    """One that falls due in three seconds."""
    [delivery] = publish("invoice.paid", {}).deliveries.all()
    due = {"due_at": timezone.now() + timedelta(seconds=3)}
    Delivery.objects.filter(pk=delivery.pk).update(**due, attempts_made=1)
    return delivery


# Where only drains from cron run


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


# Past who can be sent nothing


@pytest.fixture
def down(receiver) -> Endpoint:
    return make_endpoint(receiver.url("/down"))


def block(endpoint: Endpoint, **lane: object) -> None:
    """Let no more through: one is in flight, and the lane says what is given."""
    first = Delivery.objects.for_endpoint(endpoint).earliest("pk")
    later = timezone.now() + timedelta(minutes=4)
    Delivery.objects.filter(pk=first.pk).update(state="sending", claim=uuid.uuid4(), due_at=later)
    lane = {name: later if value == "later" else value for name, value in lane.items()}
    Lane.objects.update_or_create(endpoint=endpoint, defaults=lane)


@pytest.mark.parametrize(
    "lane",
    [{"blocked_until": "later"}, {"paced_until": "later"}, {"failures": 5, "openings": 1}],
    ids=["breaker", "pace", "probe"],
)
def test_who_is_still_down_does_not_keep_what_is_owed_to_others(
    receiver, down, send_due, monkeypatch, lane
):
    monkeypatch.setattr(pump, "CHUNK", 4)
    well = make_endpoint(receiver.url("/well"))
    dead_letters(9)
    block(down, **lane)
    Endpoint.objects.filter(pk=down.pk).update(rate_per_second=ONE_AN_HOUR)
    batch = batches.start(selection_of())

    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 17)
    assert Delivery.objects.for_endpoint(well).delivered().count() == 9
    assert Delivery.objects.for_endpoint(down).pending().count() == 8


def test_what_can_be_sent_waits_in_chunks_as_ever(receiver, down, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    well = make_endpoint(receiver.url("/well"))
    dead_letters(9)
    block(down, blocked_until="later")
    batches.start(selection_of())

    feed(9)

    assert Delivery.objects.for_endpoint(well).pending().count() == 4


def test_nobody_is_run_ahead_of_without_bound(receiver, down, send_due, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    monkeypatch.setattr(pump, "AHEAD", 6)
    dead_letters(11)
    block(down, blocked_until="later")
    make_endpoint(receiver.url("/well"))
    dead_letters(2)
    batch = batches.start(selection_of())

    feed(9)

    assert Delivery.objects.pending().count() == 6
    Lane.objects.update(blocked_until=None)
    run(send_due)
    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 14)


def test_where_all_is_owed_to_one_no_more_wait_than_a_chunk(down, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    dead_letters(11)
    Endpoint.objects.filter(pk=down.pk).update(rate_per_second=ONE_AN_HOUR)
    block(down, paced_until="later")
    batches.start(selection_of(endpoint=down.pk))

    feed(9)

    assert Delivery.objects.pending().count() == 4


# Past who waits for their turn


@pytest.fixture
def lined_up(receiver) -> Endpoint:
    return make_endpoint(receiver.url("/ordered"), ordered=True)


def feed_and_claim(times: int) -> None:
    """What is claimed is never answered."""
    for _ in range(times):
        feed()
        lifecycle.claim(10, using="default")


def test_behind_one_that_hangs_no_more_wait_than_a_chunk(lined_up, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    dead_letters(11)
    batches.start(selection_of(endpoint=lined_up.pk))

    feed_and_claim(9)

    assert Delivery.objects.unfinished().count() == 4


def test_nor_of_what_was_missed(receiver, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    events = [publish("order.paid", {}) for _ in range(11)]
    late = make_endpoint(receiver.url(), ordered=True)
    batch = batches.start_missed(late.pk, events[0].created_at - timedelta(minutes=1))

    feed_and_claim(9)

    assert late.deliveries.unfinished().count() == 4
    batch.refresh_from_db()
    assert (batch.state, batch.expected) == (State.RUNNING, 11)


def test_a_line_that_stands_keeps_nothing_from_others(receiver, lined_up, send_due, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    well = make_endpoint(receiver.url("/well"))
    dead_letters(9)
    block(lined_up)
    batch = batches.start(selection_of())

    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 17)
    assert Delivery.objects.for_endpoint(well).delivered().count() == 9


def test_it_grows_to_a_bound(receiver, lined_up, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    monkeypatch.setattr(pump, "AHEAD", 6)
    dead_letters(11)
    make_endpoint(receiver.url("/well"))
    dead_letters(2)
    batches.start(selection_of())

    feed_and_claim(9)

    assert Delivery.objects.for_endpoint(lined_up).unfinished().count() == 7  # one is being sent


@pytest.mark.parametrize("missed", [False, True], ids=["dead", "missed"])
def test_of_one_endpoint_one_keys_line_keeps_nothing_from_the_other_keys(
    receiver, send_due, monkeypatch, missed
):
    monkeypatch.setattr(pump, "CHUNK", 4)
    events = [publish("order.paid", {}, key="stuck" if n < 9 else "free") for n in range(11)]
    endpoint = make_endpoint(receiver.url())
    batch = batches.start_missed(endpoint.pk, events[0].created_at - timedelta(minutes=1))
    feed()
    block(endpoint)
    if not missed:
        run(send_due)
        kept = endpoint.deliveries.exclude(state="sending")
        kept.update(state="dead", due_at=None, ended_at=Now())
        batch = batches.start(selection_of(endpoint=endpoint.pk))
    run(send_due)

    batch.refresh_from_db()
    assert batch.state == State.DONE
    assert endpoint.deliveries.delivered().filter(event__key="free").count() == 2


def test_who_is_down_costs_a_constant_number_of_statements(receiver, down):
    make_endpoint(receiver.url("/well"))
    asked = []
    for count in (10, 150):
        dead_letters(count)
        block(down, blocked_until="later")
        batch = batches.start(selection_of(), rate=count)
        feed()
        due_again()
        with CaptureQueriesContext(connection) as feeding:
            pump.feed(using="default")
        asked.append(len(feeding))
        RedeliveryBatch.objects.filter(pk=batch.pk).update(state="done")
        Delivery.objects.update(state="delivered", due_at=None, claim=None)

    assert asked[0] == asked[1]
