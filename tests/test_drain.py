"""Claim, attempt concurrently, settle in bulk, until nothing is due."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection

from tests.conftest import end_leases, make_due, make_endpoint
from webhook_delivery import dispatch, drain, lifecycle, publish, rhythm
from webhook_delivery.dispatch import attempt
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Secret
from webhook_delivery.testing.receiver import SILENCE
from webhook_delivery.transport import Transport

pytestmark = pytest.mark.django_db(transaction=True)


def test_ten_failures_end_dead_with_ten_requests(receiver, endpoint, send_due):
    receiver.replies(*[503] * 10)
    publish("order.created", {})

    for _ in range(12):
        send_due()
        make_due()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made) == ("dead", 10)
    assert len(receiver.received) == 10


def test_every_attempt_has_the_same_id_and_bytes_and_a_fresh_signature(
    receiver, endpoint, send_due
):
    receiver.replies(503, 503)
    event = publish("order.created", {"name": "Zoë"})
    for _ in range(3):
        send_due()
        make_due()

    got = receiver.received
    assert {one.webhook_id for one in got} == {event.webhook_id}
    assert {one.body for one in got} == {bytes(event.body)}
    assert all(one.verified for one in got)
    assert [one.headers["webhook-attempt"] for one in got] == ["1", "2", "3"]
    made = [attempt.started_at.timestamp() for attempt in Attempt.objects.all()]
    signed = [int(one.headers["webhook-timestamp"]) for one in got]
    assert signed == pytest.approx(made, abs=1)


def test_a_dead_letter_redelivered_is_the_same_request_with_a_fresh_budget(
    receiver, endpoint, send_due
):
    receiver.replies(400, 503, 200)
    publish("order.created", {})
    send_due()
    done = Delivery.objects.dead().redeliver(by="ann", reason="receiver mended")
    assert done.count == 1
    assert Delivery.objects.dead().redeliver(by="ann").count == 0

    send_due()
    make_due()
    send_due()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made, delivery.attempts_in_run) == ("delivered", 3, 2)
    assert len({got.webhook_id for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1


def test_requests_are_concurrent(receiver, endpoint, send_due, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "TIMEOUT_SECONDS": 1}
    receiver.replies(*[SILENCE] * 4)
    for _ in range(4):
        publish("order.created", {})
    began = time.monotonic()

    assert send_due().retried == 4
    assert time.monotonic() - began < 4  # one after the other they take as long


def test_no_transaction_is_open_while_a_request_is(receiver, endpoint, send_due, monkeypatch):
    open_ones = []
    attempt = dispatch.attempt
    main = threading.main_thread()

    def watched(claim, transport):
        assert threading.current_thread() is not main
        open_ones.append(connection.connection)
        return attempt(claim, transport)

    monkeypatch.setattr(drain, "attempt", watched)
    publish("order.created", {})
    send_due()

    assert open_ones == [None]


def test_410_is_dead_and_switches_the_endpoint_off_and_holds_the_rest(
    receiver, endpoint, send_due, settings
):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 1}
    receiver.replies(410)
    first, second = publish("a", {}), publish("a", {})

    send_due()

    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.state_reason) == ("off", "410 Gone")
    assert first.deliveries.get().state == "dead"
    assert second.deliveries.get().state == "held"
    assert len(receiver.received) == 1
    assert publish("a", {}).deliveries.count() == 0


def test_retry_after_is_honoured(receiver, endpoint, send_due):
    from webhook_delivery.testing.receiver import Reply

    receiver.replies(Reply(429, {"Retry-After": "50"}))
    publish("a", {})

    report = send_due()

    assert 48 < report.next_due <= 50


def test_a_poison_row_costs_itself_only(receiver, endpoint, send_due, caplog):
    unreadable = make_endpoint(receiver.url("/unreadable"))
    Secret.objects.filter(endpoint=unreadable).update(sealed=b"garbage")
    secretless = make_endpoint(receiver.url("/secretless"))
    secretless.secrets.all().delete()
    unparseable = make_endpoint(receiver.url("/unparseable"))
    Endpoint.objects.filter(pk=unparseable.pk).update(url="http://[::1")
    smuggled = make_endpoint(receiver.url("/smuggled"))
    Endpoint.objects.filter(pk=smuggled.pk).update(url="http://127.0.0.1/\r\nx: y")
    event = publish("a", {})
    Attempt.objects.all().delete()

    send_due()

    reasons = dict(event.deliveries.values_list("endpoint_id", "reason"))
    assert reasons == {
        endpoint.pk: "",
        unreadable.pk: "secret",
        secretless.pk: "secret",
        unparseable.pk: "blocked",
        smuggled.pk: "blocked",
    }
    assert [got.path for got in receiver.received] == ["/"]


def test_a_header_that_cannot_be_sent_is_an_outcome(receiver, endpoint, send_due):
    smuggled, unsendable = publish("a", b"x"), publish("a", b"x")
    Event.objects.filter(pk=smuggled.pk).update(content_type="text/plain\r\nx: y")
    Event.objects.filter(pk=unsendable.pk).update(content_type="text/ü€")

    report = send_due()

    assert report.dead == 2
    assert set(Delivery.objects.values_list("reason", flat=True)) == {"config"}


def test_a_bug_while_preparing_costs_one_delivery(receiver, endpoint, send_due, monkeypatch):
    def broken(url):
        raise RuntimeError("a bug")

    monkeypatch.setattr(dispatch, "validate_url", broken)
    publish("a", {})

    assert send_due().dead == 1
    assert Attempt.objects.get().detail == "RuntimeError"


def test_several_live_secrets_sign_and_an_ended_one_does_not(receiver, endpoint, send_due):
    from django.utils import timezone

    Secret.keep(endpoint, "whsec_" + "A" * 32)
    ended = Secret.keep(endpoint, "whsec_" + "B" * 32)
    ended.valid_until = timezone.now()
    ended.save()
    publish("a", {})

    send_due()

    [got] = receiver.received
    assert got.verified
    assert len(got.headers["webhook-signature"].split(" ")) == 2


def test_findings_are_kept_while_the_database_is_away(receiver, endpoint, send_due, monkeypatch):
    settle, failures = lifecycle.settle, iter([1, 1])

    def flaky(findings, *, using):
        if next(failures, None):
            raise DatabaseError("server closed the connection")
        return settle(findings, using=using)

    monkeypatch.setattr(lifecycle, "settle", flaky)
    publish("a", {})

    assert send_due().delivered == 1
    assert len(receiver.received) == 1


def test_a_database_away_for_longer_than_the_lease_lets_it_end(
    receiver, endpoint, send_due, monkeypatch, settings
):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "MAX_TIMEOUT_SECONDS": 1,
        "LEASE_MARGIN_SECONDS": 0,
    }

    def away(findings, *, using):
        raise DatabaseError("gone")

    monkeypatch.setattr(lifecycle, "settle", away)
    publish("a", {})

    assert send_due().attempts == 0
    monkeypatch.undo()
    end_leases()
    send_due()
    assert Delivery.objects.get().state in ("delivered", "pending")
    assert Attempt.objects.first().fault == "worker_lost"


def test_a_claim_that_fails_does_not_cost_what_is_in_flight(
    receiver, endpoint, send_due, monkeypatch
):
    claim, calls = lifecycle.claim, []

    def second_fails(limit, **options):
        calls.append(limit)
        if len(calls) == 2:
            raise DatabaseError("gone")
        return claim(limit, **options)

    receiver.replies(SILENCE, 200)
    monkeypatch.setattr(lifecycle, "claim", second_fails)
    publish("a", {})
    publish("b", {})

    report = send_due()

    assert (report.delivered, report.retried) == (1, 1)


def test_a_claim_that_fails_first_is_raised_to_the_task(endpoint, send_due, monkeypatch):
    def fails(limit, **options):
        raise DatabaseError("gone")

    monkeypatch.setattr(lifecycle, "claim", fails)
    publish("a", {})

    with pytest.raises(DatabaseError):
        send_due()


def test_a_drain_waits_for_what_falls_due_within_its_time(receiver, endpoint):
    receiver.replies(503)
    publish("a", {})

    report = drain.drain(using="default", seconds=4, stay=lambda: 4)

    assert (report.retried, report.delivered, report.next_due) == (1, 1, None)
    first, second = (int(got.headers["webhook-timestamp"]) for got in receiver.received)
    assert second > first


def test_a_drain_begins_nothing_after_its_time(endpoint):
    publish("a", {})

    report = drain.drain(using="default", seconds=0)

    assert report.attempts == 0
    assert report.next_due <= 0


def test_a_drain_that_is_asked_to_stop_finishes_what_is_in_flight(receiver, endpoint):
    publish("a", {})
    asked = iter([False, False])

    report = drain.drain(
        using="default", seconds=9, stay=lambda: 9, stopped=lambda: next(asked, True)
    )

    assert report.delivered == 1


def test_a_drain_of_one_event_leaves_the_others(receiver, endpoint):
    publish("a", {})
    mine = publish("b", {})
    heard = []

    drain.drain(using="default", seconds=9, event=mine, heard=heard.append)

    assert mine.deliveries.get().state == "delivered"
    assert Delivery.objects.due().count() == 1
    assert [each.finding.claim.webhook_id for each in heard] == [mine.webhook_id]


def test_nothing_is_sent_on_a_claim_that_has_ended(receiver, endpoint, monkeypatch):
    """A worker that was stopped for longer than its lease wakes up with a claim in its hands."""
    publish("a", {})
    claim = lifecycle.claim

    def claim_and_sleep(limit, **options):
        held = claim(limit, **options)
        return [replace(each, lease=0.0) for each in held]

    monkeypatch.setattr(lifecycle, "claim", claim_and_sleep)

    assert drain.drain(using="default", seconds=1).attempts == 0
    assert receiver.received == []


def test_an_attempt_that_begins_late_is_over_before_another_may_begin(receiver, endpoint):
    receiver.thinks = 2
    publish("a", {})
    [claim] = lifecycle.claim(1, using="default")

    finding = attempt(replace(claim, lease=claim.lease - claim.left() + 0.3), Transport())

    assert finding.outcome.fault == "timeout"
    assert finding.duration < 1


def test_410_and_its_switching_off_are_recorded_together(receiver, endpoint, send_due, monkeypatch):
    from webhook_delivery import endpoints

    mark_off, failures = endpoints.mark_off, iter([1])

    def flaky(*args, **options):
        if next(failures, None):
            raise DatabaseError("gone")
        return mark_off(*args, **options)

    receiver.replies(410)
    monkeypatch.setattr(endpoints, "mark_off", flaky)
    publish("a", {})

    assert send_due().dead == 1
    endpoint.refresh_from_db()
    assert endpoint.state == "off"


@pytest.mark.parametrize("zone", ["+05:00", "-08:00"])
def test_a_database_session_in_another_time_zone_signs_the_same_time(
    receiver, endpoint, send_due, zone
):
    if connection.vendor == "sqlite":
        zone = "UTC"  # it knows no other
    else:
        verb = {"mysql": "time_zone =", "postgresql": "time zone"}[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(f"SET {verb} '{zone}'")
    publish("a", {})

    send_due()

    assert receiver.received[0].verified
    connection.close()


def test_the_timestamp_is_the_databases_whatever_the_worker_believes(
    receiver, endpoint, send_due, time_machine
):
    publish("a", {})
    real = time.time()
    time_machine.move_to(real + 86400)

    send_due()

    assert abs(int(receiver.received[0].headers["webhook-timestamp"]) - real) < 5


def test_who_was_idle_is_sent_to_while_a_run_waits_for_another(receiver, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "TIMEOUT_SECONDS": 1}
    make_endpoint(receiver.url("/hang"), "hang")
    make_endpoint(receiver.url("/idle"), "idle")
    receiver.replies(SILENCE, path="/hang")
    publish("hang", {})
    events, over = iter(["idle"]), time.monotonic() + 0.2

    def after_the_end() -> bool:
        if time.monotonic() > over and (event := next(events, None)):
            publish(event, {})
        return False

    drain.drain(using="default", seconds=0.1, meanwhile=after_the_end)

    assert [got.path for got in receiver.received] == ["/hang", "/idle"]
    assert Delivery.objects.delivered().get().event.event_type == "idle"


def test_who_says_that_something_may_be_due_is_believed_at_once(receiver, settings, monkeypatch):
    monkeypatch.setattr(rhythm, "LOOK_SECONDS", 1000)
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "TIMEOUT_SECONDS": 2}
    make_endpoint(receiver.url("/hang"), "hang", retry_schedule=[])
    make_endpoint(receiver.url("/other"), "other")
    receiver.replies(SILENCE, path="/hang")
    publish("hang", {})
    events = iter(["other"])

    def hear() -> bool:
        event = next(events, None) if receiver.received else None
        return event is not None and bool(publish(event, {}))

    drain.drain(using="default", seconds=10, meanwhile=hear)

    hung, other = Attempt.objects.order_by("started_at")
    assert (hung.fault, other.verdict) == ("timeout", "delivered")
    assert other.started_at - hung.started_at < timedelta(seconds=2)


def test_newcomers_need_not_wait_for_what_is_in_stock_for_who_is_owed_much(
    receiver, settings, monkeypatch
):
    monkeypatch.setattr(rhythm, "LOOK_SECONDS", 1000)
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 4}
    receiver.thinks = 0.02
    make_endpoint(receiver.url("/owed"), "owed")
    for number in range(12):
        make_endpoint(receiver.url(f"/new/{number}"), "new")
    for _ in range(60):
        publish("owed", {})
    events = iter(["new"])

    def hear() -> bool:
        event = next(events, None) if len(receiver.received) > 20 else None
        return event is not None and bool(publish(event, {}))

    drain.drain(using="default", seconds=20, meanwhile=hear)

    order = [got.path.split("/")[1] for got in receiver.received]
    first = order.index("new")
    assert (order.count("owed"), order.count("new")) == (60, 12)
    assert order[first : first + 20].count("new") == 12


def test_what_is_said_as_a_drain_ends_is_left_for_the_next_at_once():
    said = iter([False, True])

    report = drain.drain(using="default", seconds=1, meanwhile=lambda: next(said))

    assert report.next_due == 0


def test_a_drain_makes_no_more_attempts_than_it_may(endpoint, receiver):
    for number in range(40):
        publish("order.paid", {"number": number})

    report = drain.drain(using="default", seconds=10, most=7)

    assert (report.attempts, len(receiver.received)) == (7, 7)
    assert report.next_due == 0
    assert Delivery.objects.pending().count() == 33
