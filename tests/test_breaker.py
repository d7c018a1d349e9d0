"""An endpoint that is not there, or not well, is left alone; and everybody else is not."""

import math

import pytest
from django.db.models import F
from django.utils import timezone

from tests.conftest import make_due, make_endpoint
from tests.legal import unlawful
from tests.owing import block, blocked_for, end_pauses, owe, statements
from webhook_delivery import drain, endpoints, lifecycle, recording
from webhook_delivery.claims import Finding
from webhook_delivery.doorbell import AGAIN_SECONDS, soonest
from webhook_delivery.lifecycle import changing
from webhook_delivery.models import Attempt, Delivery, Lane
from webhook_delivery.outcomes import Outcome, fault_of
from webhook_delivery.testing.receiver import Reply

pytestmark = pytest.mark.django_db(transaction=True)

FAILURES = 5


@pytest.fixture(autouse=True)
def quick_to_open(settings) -> None:
    opens = {"BREAKER_FAILURES": FAILURES, "BREAKER_SECONDS": 60, "BREAKER_MAX_SECONDS": 600}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **opens, "CONCURRENCY": 4}


@pytest.fixture
def opened(receiver, endpoint, send_due):
    """The endpoint, after its breaker has opened; its receiver answers nothing but 503."""
    receiver.replies(*[503] * 1000)
    owe(50, endpoint)
    send_due()
    return endpoint


def probe(receiver, send_due) -> int:
    """Let the pause be over, send, and return how many requests that made."""
    before = len(receiver.received)
    end_pauses()
    send_due()
    return len(receiver.received) - before


def test_the_breaker_opens_after_so_many_failures_and_no_request_more(receiver, opened):
    assert len(receiver.received) == FAILURES
    lane = Lane.objects.get(endpoint=opened)
    assert (lane.failures, lane.openings) == (FAILURES, 1)
    assert 55 < blocked_for(opened) <= 60


def test_while_it_is_open_nothing_is_claimed_nor_sent(receiver, opened, send_due):
    make_due()

    assert lifecycle.claim(100, using="default") == []
    assert send_due().attempts == 0
    assert len(receiver.received) == FAILURES


def test_a_drain_that_finds_it_open_asks_the_database_a_few_times(opened, send_due):
    with statements() as said:
        send_due()

    assert len(said) < 20


def test_when_its_time_has_come_there_is_one_probe_and_if_it_fails_twice_the_pause(
    receiver, opened, send_due
):
    pauses = []
    for _ in range(5):
        assert probe(receiver, send_due) == 1
        pauses.append(round(blocked_for(opened), -1))

    assert pauses == [120, 240, 480, 600, 600]


def test_two_who_claim_at_once_make_one_probe(opened):
    end_pauses()

    first = lifecycle.claim(100, using="default")
    second = lifecycle.claim(100, using="default")

    assert (len(first), len(second)) == (1, 0)
    assert first[0].doubted


def test_a_probe_that_nobody_answers_for_is_made_again(opened):
    end_pauses()
    [_] = lifecycle.claim(100, using="default")
    Delivery.objects.sending().update(due_at=F("created_at"))

    lifecycle.rescue(using="default")

    assert blocked_for(opened) <= 0
    assert len(lifecycle.claim(100, using="default")) == 1


def test_a_good_probe_closes_it_and_everything_flows(receiver, opened, send_due):
    receiver.follow("/=200")
    make_due()
    end_pauses()

    send_due()

    assert Delivery.objects.delivered().count() == 50
    lane = Lane.objects.get(endpoint=opened)
    assert (lane.failures, lane.openings, lane.blocked_until) == (0, 0, None)
    assert unlawful() == []


def test_a_breaker_that_opens_delays_nobody_else(receiver, opened, send_due):
    other = make_endpoint(receiver.url("/other"))
    owe(30, other)

    assert send_due().delivered == 30


def test_a_drain_tells_when_the_breakers_time_comes(opened):
    make_due()

    report = drain.drain(using="default", seconds=5)

    assert 50 < report.next_due <= 60
    assert soonest("default") <= 60


def test_a_pause_that_ends_just_after_a_look_is_not_overlooked(endpoint):
    owe(1, endpoint, ago=60)

    block(endpoint, seconds=-2)

    assert soonest("default", looked=5) == AGAIN_SECONDS
    assert soonest("default") is None


def test_refusals_open_nothing(receiver, endpoint, send_due):
    receiver.replies(*[400] * 40)
    owe(40, endpoint)

    assert send_due().dead == 40
    assert blocked_for(endpoint) == 0


# ── pauses that receivers ask for


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_receiver_gets_its_pause_from_all_that_it_is_owed(
    receiver, endpoint, send_due, status
):
    receiver.replies(*[Reply(status, {"Retry-After": "50"})] * 4)
    owe(40, endpoint)

    send_due()

    assert len(receiver.received) <= 4  # those that were in the air together
    assert 45 < blocked_for(endpoint) <= 50
    assert lifecycle.claim(100, using="default") == []
    assert Delivery.objects.filter(attempts_made__gt=0).count() == len(receiver.received)
    assert unlawful() == []


def test_no_receiver_gets_a_longer_pause_than_the_longest(receiver, endpoint, send_due):
    receiver.replies(Reply(429, {"Retry-After": "86400"}))
    owe(1, endpoint)

    send_due()

    assert 590 < blocked_for(endpoint) <= 600


def test_after_the_pause_everything_flows(receiver, endpoint, send_due):
    receiver.replies(*[Reply(429, {"Retry-After": "50"})] * 4)
    owe(40, endpoint)
    send_due()

    receiver.follow("/=200")
    end_pauses()
    make_due()
    send_due()

    assert Delivery.objects.delivered().count() == 40


def test_a_success_on_the_way_does_not_cut_the_pause(receiver, endpoint):
    owe(3, endpoint)
    busy, failed, good = lifecycle.claim(3, using="default")
    settle(busy, 429, retry_after=50)

    settle_together((failed, 500), (good, 200))

    assert blocked_for(endpoint) > 45


def settle(claim, status: int, **facts) -> None:
    settle_together((claim, status), **facts)


def settle_together(*answers, **facts) -> None:
    found = [
        Finding(claim, Outcome(status, fault_of(status), **facts), timezone.now())
        for claim, status in answers
    ]
    assert len(lifecycle.settle(found, using="default")) == len(answers)


def test_what_was_claimed_before_it_opened_and_fails_late_does_not_double_its_time(endpoint):
    owe(FAILURES + 1, endpoint)
    *early, late = lifecycle.claim(FAILURES + 1, using="default")
    settle_together(*((each, 503) for each in early))
    end_pauses()

    settle(late, 503)

    assert Lane.objects.get().openings == 1
    assert blocked_for(endpoint) <= 0


def test_what_was_claimed_ahead_does_not_fly_through_an_open_breaker(receiver, endpoint, send_due):
    receiver.replies(*[200] * 60, *[503] * 500)
    owe(300, endpoint)

    send_due()

    failed = [got for got in receiver.received if got.status == 503]
    # With those that were in the air together; and what is settled in two parts is heard twice.
    assert FAILURES <= len(failed) <= 2 * FAILURES + 4
    assert not Delivery.objects.sending().exists()
    assert unlawful() == []


# ── pauses that a wrong clock has set

DAY = 86_400


def test_what_opened_while_the_clock_was_wrong_gets_one_probe_once_it_is_right(
    receiver, endpoint, send_due, database_clock
):
    receiver.replies(*[503] * (FAILURES + 1))
    owe(50, endpoint)
    database_clock.step(DAY)
    send_due()
    assert len(receiver.received) == FAILURES

    database_clock.step(-DAY)
    make_due()
    send_due()

    assert len(receiver.received) == FAILURES + 1
    assert 115 < blocked_for(endpoint) <= 120
    make_due()
    assert probe(receiver, send_due) == Delivery.objects.delivered().count() == 50
    assert unlawful() == []


def test_a_pause_that_a_wrong_clock_granted_is_forgotten(endpoint):
    owe(20, endpoint, ago=60)
    block(endpoint, seconds=DAY, failures=0, openings=0)

    assert soonest("default") is None
    assert len(lifecycle.claim(20, using="default")) == 20
    assert Lane.objects.get().blocked_until is None


def test_what_arrives_closes_it_though_a_wrong_clock_has_set_its_time(endpoint):
    block(endpoint, seconds=-1)
    owe(1, endpoint)
    [claim] = lifecycle.claim(1, using="default")
    block(endpoint, seconds=DAY)

    settle(claim, 200)

    lane = Lane.objects.get()
    assert (lane.failures, lane.openings, lane.blocked_until) == (0, 0, None)


def test_a_pause_may_be_as_long_as_anybody_likes(endpoint, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "BREAKER_MAX_SECONDS": math.inf}
    owe(1, endpoint, ago=60)

    block(endpoint, seconds=365 * DAY)

    assert lifecycle.claim(1, using="default") == []
    assert soonest("default") > 364 * DAY


# ── gone


@pytest.mark.parametrize("time", range(3))
def test_after_410_nothing_that_was_claimed_ahead_is_sent(receiver, endpoint, send_due, time):
    receiver.replies(*[410] * 100)
    owe(100, endpoint)

    send_due()

    sent = len(receiver.received)
    assert 1 <= sent <= 4  # those that were in the air together
    assert Delivery.objects.dead().count() == Attempt.objects.count() == sent
    assert Delivery.objects.held().count() == 100 - sent
    assert not Delivery.objects.held().exclude(attempts_made=0).exists()
    assert unlawful() == []


def test_after_410_of_a_receiver_with_a_wide_window_nothing_more_is_sent(
    receiver, endpoint, send_due
):
    receiver.replies(*[200] * 60, *[410] * 500)
    owe(300, endpoint)

    send_due()

    gone = [got for got in receiver.received if got.status == 410]
    assert 1 <= len(gone) <= 4
    assert Delivery.objects.held().count() == 300 - len(receiver.received)
    assert unlawful() == []


def test_of_a_long_backlog_the_sweeps_hold_what_410_left(receiver, endpoint, send_due, monkeypatch):
    monkeypatch.setattr(recording, "HELD_AT_ONCE", 1)
    monkeypatch.setattr(changing, "CHUNK", 10)
    receiver.replies(*[410] * 100)
    owe(60, endpoint)
    send_due()
    sent = len(receiver.received)
    held = Delivery.objects.held().count()
    assert held in range(10, 10 * sent + 1)
    assert Delivery.objects.pending().count() == 60 - sent - held > 0

    make_due()
    assert send_due().attempts == 0
    endpoints.settle_strays(using="default")

    assert Delivery.objects.held().count() == 60 - sent
