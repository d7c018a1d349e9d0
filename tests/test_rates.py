"""No endpoint is sent more a second, or more at once, than it asked for: from all clusters."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F

from tests.conftest import make_endpoint
from tests.counting import CountingReceiver
from tests.legal import unlawful
from tests.owing import end_pauses, owe
from tests.processes import qcluster, wait_until
from webhook_delivery import doorbell, drain, lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle.looking import MANY
from webhook_delivery.models import Attempt, Delivery, Endpoint, Lane
from webhook_delivery.models.lane import paced
from webhook_delivery.pacing import BURST_SECONDS, FASTEST, SLOWEST, Breaker, Traffic, allowance

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400
CLUSTERS = 1 if connection.vendor == "sqlite" else 2


def claimed(count: int = 100) -> int:
    return len(lifecycle.claim(count, using="default"))


def let_pass(seconds: float) -> None:
    """Let so much time pass for every rate."""
    Lane.objects.update(paced_until=F("paced_until") - timedelta(seconds=seconds))


def all_delivered() -> bool:
    return not Delivery.objects.exclude(state="delivered").exists()


@contextmanager
def clusters(broker: str) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(CLUSTERS):
            stack.enter_context(qcluster(broker=broker))
        yield


# ── claims


def test_a_claim_takes_a_burst_and_no_more_however_long_it_has_waited():
    owe(60, make_endpoint(rate_per_second=40))

    first = claimed()
    let_pass(3600)

    assert first == claimed() == 40 * BURST_SECONDS + 1


def test_a_slow_rate_lets_one_go_and_then_none_for_long():
    owe(5, make_endpoint(rate_per_second=0.01))

    assert [claimed(), claimed()] == [1, 0]
    let_pass(50)
    assert claimed() == 0
    let_pass(50)
    assert [claimed(), claimed()] == [1, 0]


def test_a_rate_slows_down_nobody_else(send_due):
    with CountingReceiver() as receiver:
        owe(30, make_endpoint(receiver.url("slow"), rate_per_second=0.01))
        owe(30, make_endpoint(receiver.url("free")))

        send_due()

        paths = [path for _, path in receiver.arrivals]
    assert (paths.count("/slow"), paths.count("/free")) == (1, 30)


def test_a_drain_tells_when_the_rate_allows_more(send_due):
    with CountingReceiver() as receiver:
        owe(5, make_endpoint(receiver.url(), rate_per_second=0.01), ago=60)

        report = send_due()

    assert report.delivered == 1
    assert 80 < report.next_due <= 100


def test_a_rate_that_allows_more_just_after_a_look_is_not_overlooked():
    owe(5, make_endpoint(rate_per_second=0.01), ago=60)
    assert claimed() == 1
    Delivery.objects.sending().delete()
    let_pass(100 + 2)

    assert doorbell.soonest("default", looked=5) == doorbell.AGAIN_SECONDS


def test_a_rate_that_was_taken_away_holds_nothing_up_once_its_time_is_over(send_due):
    with CountingReceiver() as receiver:
        endpoint = make_endpoint(receiver.url(), rate_per_second=0.01)
        owe(20, endpoint)
        send_due()
        endpoint.rate_per_second = None
        endpoint.save()

        send_due()

    assert all_delivered()


def test_what_waits_for_its_rate_is_lawful_and_goes_on(send_due):
    with CountingReceiver() as receiver:
        owe(5, make_endpoint(receiver.url(), rate_per_second=0.01))
        for _ in range(5):
            send_due()
            assert unlawful() == []
            end_pauses()

    assert all_delivered()


def test_a_drain_that_stays_sends_at_the_rate():
    with CountingReceiver() as receiver:
        owe(8, make_endpoint(receiver.url(), rate_per_second=20))

        report = drain.drain(using="default", seconds=20, stay=lambda: 20)

    assert report.delivered == 8


# ── what cannot be so


def test_what_a_wrong_clock_counted_holds_nothing_up_once_it_is_right(database_clock):
    owe(60, make_endpoint(rate_per_second=40))
    database_clock.step(365 * DAY)
    assert claimed() == 40 * BURST_SECONDS + 1

    database_clock.step(-365 * DAY)

    assert claimed() >= 1
    let_pass(3600)
    assert claimed() == 40 * BURST_SECONDS + 1


def test_a_rate_that_was_raised_counts_at_once():
    endpoint = make_endpoint(rate_per_second=1 / 3600)
    owe(5, endpoint)
    assert [claimed(), claimed()] == [1, 0]

    Endpoint.objects.filter(pk=endpoint.pk).update(rate_per_second=10)

    assert claimed() == 1


def test_of_many_endpoints_none_is_hidden_by_what_a_wrong_clock_wrote():
    many = [make_endpoint(rate_per_second=10) for _ in range(MANY + 2)]
    owe(1, *many)
    wrong = Now() + timedelta(days=1)
    lanes = {"paced_until": many[::2], "blocked_until": many[1::2]}
    for moment, endpoints in lanes.items():
        Lane.objects.bulk_create(Lane(endpoint=each, **{moment: wrong}) for each in endpoints)

    assert claimed() == len(many)


NOT_ON_MYSQL = [] if connection.vendor == "mysql" else [math.inf, -math.inf, math.nan]
RATES = [None, SLOWEST, 0.01, 10, FASTEST, -1, 0, 1e-300, 1e300, *NOT_ON_MYSQL]
AHEAD = [-60, 0, 0.1, 3, 60, 200, 3000, 4000, DAY, 365 * DAY]


def test_the_database_tells_as_claims_do_where_the_rate_lets_nothing_go():
    endpoints = [Endpoint(name="any", rate_per_second=rate) for rate in RATES for _ in AHEAD]
    Endpoint.objects.bulk_create(endpoints)
    made = Endpoint.objects.order_by("pk").values_list("pk", flat=True)
    Lane.objects.bulk_create(
        Lane(pk=pk, paced_until=Now() + timedelta(seconds=AHEAD[number % len(AHEAD)]))
        for number, pk in enumerate(made)
    )

    closed = set(Lane.objects.filter(paced()).values_list("pk", flat=True))

    told = Lane.objects.values_list("pk", "endpoint__rate_per_second", "paced_until", Now())
    assert closed == {pk for pk, rate, until, now in told if not lets_go(rate, until, now)}
    assert 0 < len(closed) < len(endpoints)


def lets_go(rate: float | None, until: datetime, now: datetime) -> int:
    facts = {"in_flight": 0, "at_most": 1, "rate": rate, "now": now}
    return allowance(Traffic(paced_until=until), Breaker(10, 5, 300), **facts)


# ── over real clusters, measured at the receiver

EACH_CLUSTER = pytest.mark.parametrize(
    "broker",
    [
        pytest.param("orm", marks=[] if connection.vendor == "postgresql" else pytest.mark.nightly),
        pytest.param("redis", marks=pytest.mark.nightly),
    ],
    indirect=True,
)
"""Two clusters on PostgreSQL every day; the rest nightly."""


@EACH_CLUSTER
def test_clusters_together_send_no_faster_than_the_rate(broker):
    rate, count = 10, 40
    with CountingReceiver() as receiver, clusters(broker):
        owe(1, make_endpoint(receiver.url("first")))
        doorbell.ring(using="default")
        wait_until(all_delivered, seconds=60)
        began = time.time()
        owe(count, make_endpoint(receiver.url("paced"), rate_per_second=rate))
        doorbell.ring(using="default")
        wait_until(all_delivered, seconds=60)

    times = sorted(at for at, path in receiver.arrivals if path == "/paced")
    assert len(times) == count
    for number, at in enumerate(times):  # however late one is, none is early
        assert at - began >= number / rate - BURST_SECONDS


@EACH_CLUSTER
def test_clusters_together_never_exceed_a_cap(broker):
    with CountingReceiver(thinks=0.02) as receiver, clusters(broker):
        owe(100, make_endpoint(receiver.url("capped"), max_in_flight=2))
        owe(100, make_endpoint(receiver.url("free")))
        doorbell.ring(using="default")
        wait_until(all_delivered, seconds=60)

    assert receiver.received.total() == Attempt.objects.count() == 200
    assert receiver.most["/capped"] <= 2
