"""Faults in the middle of a drain: a poison row costs itself, and an outage costs nothing."""

import math
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
from django.db import OperationalError, connection

from tests.boundaries import hang_up
from tests.conftest import end_leases, make_due, make_endpoint
from tests.legal import unlawful
from webhook_delivery import drain as draining
from webhook_delivery import lifecycle, publish, tasks
from webhook_delivery.holdings import FIRST
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Secret

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = 5
ENDLESS, NONE = (1e308, -1e308) if connection.vendor == "mysql" else (math.inf, math.nan)
"""MySQL keeps nothing that is not finite."""


@contextmanager
def foreign_keys_bypassed():
    """As whoever mends a database by hand may do it."""
    off, on = {
        "postgresql": ("SET session_replication_role = replica", "RESET session_replication_role"),
        "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"),
        "mysql": ("SET foreign_key_checks = 0", "SET foreign_key_checks = 1"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(off)
        yield cursor
        cursor.execute(on)


# ── poison rows


def poison(endpoint: Endpoint, event: Event) -> dict:
    """Each kind of poison, by its name: what to do to one delivery's rows."""
    endpoints, events = Endpoint.objects.filter(pk=endpoint.pk), Event.objects.filter(pk=event.pk)
    secrets = Secret.objects.filter(endpoint=endpoint)
    return {
        "an undecryptable secret": lambda: secrets.update(sealed=b"garbage"),
        "a secret that is empty": lambda: secrets.update(sealed=b""),
        "an unparseable URL": lambda: endpoints.update(url="http://[::1"),
        "a URL of another scheme": lambda: endpoints.update(url="file:///etc/passwd"),
        "a header smuggled into the URL": lambda: endpoints.update(url="http://127.0.0.1/\r\nx: y"),
        "a header smuggled into a column": lambda: events.update(content_type="a/b\r\nx: y"),
        "a broken schedule": lambda: endpoints.update(url="http://[::1", retry_schedule={"a": "b"}),
        "a timeout of nothing": lambda: endpoints.update(url="http://[::1", timeout_seconds=-1),
        "a rate of nothing": lambda: endpoints.update(url="http://[::1", rate_per_second=0),
        "a rate below": lambda: endpoints.update(url="http://[::1", rate_per_second=-1),
        "a rate of almost nothing": lambda: endpoints.update(
            url="http://[::1", rate_per_second=1e-300
        ),
        "a rate without end": lambda: endpoints.update(url="http://[::1", rate_per_second=ENDLESS),
        "a rate that is none": lambda: endpoints.update(url="http://[::1", rate_per_second=NONE),
    }


EXPECTED = {
    "an undecryptable secret": ("pending", "secret"),
    "a secret that is empty": ("pending", "secret"),
    "an unparseable URL": ("pending", "blocked"),
    "a URL of another scheme": ("pending", "blocked"),
    "a header smuggled into the URL": ("pending", "blocked"),
    "a header smuggled into a column": ("dead", "config"),
    "a broken schedule": ("pending", "blocked"),
    "a timeout of nothing": ("pending", "blocked"),
    "a rate of nothing": ("pending", "blocked"),
    "a rate below": ("pending", "blocked"),
    "a rate of almost nothing": ("pending", "blocked"),
    "a rate without end": ("pending", "blocked"),
    "a rate that is none": ("pending", "blocked"),
}


@pytest.fixture
def good(receiver) -> Endpoint:
    return make_endpoint(receiver.url("/good"), "good")


def publish_around(*events: str) -> list[Event]:
    """Good ones before, between and after: all are claimed together."""
    for _ in range(GOOD):
        publish("good", {})
    return [publish(event, {}) for event in events]


def good_ones_arrived(receiver) -> bool:
    return Counter(got.path for got in receiver.received)["/good"] == GOOD


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_poison_row_costs_itself_only(receiver, good, send_due, kind):
    ill = make_endpoint(receiver.url("/ill"), "ill")
    [event] = publish_around("ill")
    poison(ill, event)[kind]()

    send_due()

    delivery = event.deliveries.get()
    assert (delivery.state, delivery.reason) == EXPECTED[kind]
    assert good_ones_arrived(receiver)
    assert len(receiver.received) == GOOD
    assert unlawful() == []


def test_an_event_deleted_under_its_delivery_ends_it(receiver, good, send_due):
    make_endpoint(receiver.url("/ill"), "ill")
    [event] = publish_around("ill")
    delivery = event.deliveries.get()
    with foreign_keys_bypassed() as cursor:
        cursor.execute("DELETE FROM webhook_delivery_event WHERE event_type = 'ill'")

    send_due()

    try:
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason) == ("dead", "config")
        assert "gone" in delivery.attempts.get().detail
        assert good_ones_arrived(receiver)
    finally:
        delivery.delete()


def test_an_event_deleted_while_its_claim_is_lost_ends_it_too(receiver, good, send_due):
    make_endpoint(receiver.url("/ill"), "ill")
    [event] = publish_around("ill")
    delivery = event.deliveries.get()
    lifecycle.claim(100, using="default")
    end_leases()
    with foreign_keys_bypassed() as cursor:
        cursor.execute("DELETE FROM webhook_delivery_event WHERE event_type = 'ill'")

    send_due()

    try:
        assert good_ones_arrived(receiver)
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts_made) == ("dead", 1)
    finally:
        delivery.delete()


def test_an_attempts_number_that_is_taken_costs_one_delivery(receiver, good, send_due, caplog):
    make_endpoint(receiver.url("/ill"), "ill")
    [event] = publish_around("ill")
    delivery = event.deliveries.get()
    Attempt.objects.create(
        delivery=delivery, number=1, started_at=delivery.created_at, verdict="retry"
    )

    send_due()

    delivery.refresh_from_db()
    assert delivery.state == "sending"
    assert f"Delivery {delivery.pk} cannot be settled; verify it" in caplog.text
    assert Delivery.objects.delivered().count() == GOOD


# ── an outage


class Outage:
    """Ends the drain's connection before its n-th statement of a kind, so many times."""

    def __init__(self, statement: str, *, times: int = 1) -> None:
        self.statement, self.left, self.log = statement, times, []

    def __call__(self, execute, sql, *rest):
        if self.left and sql.startswith(self.statement):
            self.left -= 1
            hang_up(connection)
            if connection.vendor == "sqlite":
                raise OperationalError("disk I/O error")
        return execute(sql, *rest)


CLAIMING = 'UPDATE "webhook_delivery_delivery"'
RECORDING = 'INSERT INTO "webhook_delivery_attempt"'


def quoted(statement: str) -> str:
    return statement.replace('"', "`") if connection.vendor == "mysql" else statement


@pytest.mark.parametrize("times", [1, 3])
def test_a_database_that_goes_away_at_settle_costs_no_finding(
    receiver, good, send_due, monkeypatch, caplog, times
):
    monkeypatch.setattr(draining, "AWAY_SECONDS", 0.05)
    publish_around()

    with connection.execute_wrapper(Outage(quoted(RECORDING), times=times)):
        report = send_due()

    assert report.delivered == GOOD
    assert len(receiver.received) == GOOD, "nothing was sent twice"
    assert caplog.text.count("could not be recorded; trying again") == times
    assert unlawful() == []


def test_nothing_is_sent_while_the_database_is_away(
    receiver, good, send_due, monkeypatch, settings, caplog
):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 2}
    monkeypatch.setattr(draining, "AWAY_SECONDS", 0.05)
    publish_around()
    sent = []
    outage = Outage(quoted(RECORDING), times=4)
    sleep = time.sleep

    def watch(seconds: float) -> None:
        if seconds == draining.AWAY_SECONDS:
            sent.append(len(receiver.received))
        sleep(seconds)

    monkeypatch.setattr(draining.time, "sleep", watch)

    with connection.execute_wrapper(outage):
        report = send_due()

    assert len(sent) == 4
    assert len(set(sent)) == 1
    assert report.delivered == len(receiver.received) == GOOD


def test_a_database_that_goes_away_at_a_claim_is_the_next_drains_affair(receiver, good, caplog):
    publish_around()

    with connection.execute_wrapper(Outage(quoted(CLAIMING))):
        tasks.drain()
    tasks.drain()

    assert "drain failed" in caplog.text
    assert len(receiver.received) == Delivery.objects.delivered().count() == GOOD
    assert unlawful() == []


def test_a_database_that_stays_away_lets_the_leases_end(receiver, good, settings, monkeypatch):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "MAX_TIMEOUT_SECONDS": 1,
        "LEASE_MARGIN_SECONDS": 0,
    }
    monkeypatch.setattr(draining, "AWAY_SECONDS", 0.1)
    publish_around()

    with connection.execute_wrapper(Outage(quoted(RECORDING), times=100)), suppress(Exception):
        draining.drain(using="default", seconds=1)
    connection.close()

    assert Delivery.objects.sending().count() == FIRST < GOOD, "nothing more is claimed meanwhile"
    end_leases()
    tasks.drain()
    make_due()
    tasks.drain()
    assert Delivery.objects.delivered().count() == GOOD
    assert len({got.webhook_id for got in receiver.received}) == GOOD
    assert len(receiver.received) > GOOD, "what was sent and not recorded is sent again"
    assert unlawful() == []


# ── an end


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["claim", "settle"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_drain_that_is_ended_loses_nothing(receiver, good, monkeypatch, end, where, moment):
    verb = getattr(lifecycle, where)

    def ended(*arguments, **options):
        if moment == "after":
            verb(*arguments, **options)
        raise end

    publish_around()
    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, where, ended)
        with pytest.raises(end):
            tasks.drain()
    assert unlawful() == []

    end_leases()
    make_due()
    tasks.drain()

    assert Delivery.objects.delivered().count() == GOOD
    assert len({got.webhook_id for got in receiver.received}) == GOOD
    assert len(receiver.received) <= 2 * GOOD
    assert threading.active_count() < 50
    assert unlawful() == []
