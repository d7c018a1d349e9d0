"""Not before, and not after: `deliver_at` and `expires_at`, from publishing to the dead letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import end_leases, make_due, make_endpoint
from tests.test_admin import client_of, url
from webhook_delivery import (
    InvalidEvent,
    NewEvent,
    endpoints,
    forwarding,
    health,
    lifecycle,
    missing,
    publish,
    publish_many,
    tasks,
)
from webhook_delivery.admin.deliveries.forecast import forecast
from webhook_delivery.claims import Finding
from webhook_delivery.models import Attempt, Delivery, Doorbell, Event
from webhook_delivery.outcomes import Decision, Fault, Outcome, Policy, Verdict, in_time
from webhook_delivery.pacing import Breaker, Traffic, answered
from webhook_delivery.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
HOUR = timedelta(hours=1)


def in_an_hour() -> datetime:
    return timezone.now() + HOUR


def let_pass(span: timedelta) -> None:
    """Let so much time be over: all moments of events and deliveries lie so much earlier."""
    earlier = {name: F(name) - span for name in ("deliver_at", "expires_at", "created_at")}
    Event.objects.update(**earlier)
    Delivery.objects.update(due_at=F("due_at") - span, created_at=F("created_at") - span)


def only() -> Delivery:
    return Delivery.objects.get()


def log() -> list[tuple[str, str, int | None]]:
    return list(Attempt.objects.order_by("pk").values_list("fault", "verdict", "status"))


def sound() -> bool:
    return list(verify(using=DB)) == []


# ── not before


@pytest.mark.parametrize("wish", [in_an_hour, lambda: HOUR], ids=["a moment", "a span"])
def test_what_is_for_later_is_delivered_then(endpoint, receiver, send_due, wish):
    publish("order.due", deliver_at=wish())

    assert abs(only().due_at - in_an_hour()) < timedelta(seconds=5)
    assert only().due_at == Event.objects.get().deliver_at
    assert send_due().attempts == 0
    assert sound()

    let_pass(HOUR)
    assert send_due().delivered == 1
    assert len(receiver.received) == 1
    assert sound()


def test_what_was_for_earlier_is_delivered_now(endpoint, send_due):
    publish("order.due", deliver_at=timezone.now() - HOUR)

    assert only().due_at < timezone.now() + timedelta(seconds=5)
    assert send_due().delivered == 1
    assert sound()


@pytest.mark.parametrize("name", ["deliver_at", "expires_at"])
@pytest.mark.parametrize(
    "wrong",
    [
        datetime(2026, 11, 21, 12, 0),  # noqa: DTZ001 - what is refused
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC) + timedelta(0),
        timedelta.max,
        "tomorrow",
        3600,
    ],
)
def test_what_is_no_moment_is_refused_before_any_sql(name, wrong):
    with (
        transaction.atomic(),
        CaptureQueriesContext(connection) as queries,
        pytest.raises(InvalidEvent, match=name),
    ):
        publish("order.due", **{name: wrong})

    assert len(queries) == 0


@pytest.mark.parametrize("deliver_at", [2 * HOUR, HOUR])
def test_what_would_expire_before_it_is_delivered_is_refused(deliver_at):
    with pytest.raises(InvalidEvent, match="expire"):
        publish("order.due", deliver_at=deliver_at, expires_at=HOUR)


def test_a_pause_ends_and_it_still_waits_for_its_time(endpoint, send_due):
    endpoints.pause(endpoint.pk, using=DB)
    publish("order.due", deliver_at=in_an_hour())
    publish("order.now")
    assert set(Delivery.objects.values_list("state", "due_at")) == {("held", None)}

    endpoints.switch_on(endpoint.pk, using=DB)

    later = Delivery.objects.get(event__event_type="order.due")
    assert later.due_at == later.event.deliver_at
    assert send_due().delivered == 1
    assert sound()


def test_a_pause_that_lasts_longer_lets_it_go_at_once(endpoint, send_due):
    publish("order.due", deliver_at=in_an_hour())
    endpoints.pause(endpoint.pk, using=DB)
    let_pass(2 * HOUR)

    endpoints.switch_on(endpoint.pk, using=DB)

    assert send_due().delivered == 1
    assert sound()


def test_a_pause_after_its_first_attempt_ends_at_once(endpoint, receiver, send_due):
    receiver.replies(503)
    publish("order.due", deliver_at=in_an_hour())
    lifecycle.retry_now(Delivery.objects.all())
    assert send_due().attempts == 1
    endpoints.pause(endpoint.pk, using=DB)

    endpoints.switch_on(endpoint.pk, using=DB)

    assert send_due().delivered == 1
    assert sound()


def test_a_person_may_bring_it_forward(endpoint, send_due):
    publish("order.due", deliver_at=in_an_hour())

    assert len(lifecycle.retry_now(Delivery.objects.all())) == 1

    assert sound()
    assert send_due().delivered == 1
    assert sound()


def test_in_an_order_it_holds_up_what_stands_behind_it(endpoint, receiver, send_due):
    ids = [
        publish("order.created", key="order:7").webhook_id,
        publish("order.due", key="order:7", deliver_at=in_an_hour()).webhook_id,
        publish("order.paid", key="order:7").webhook_id,
    ]
    other = publish("order.paid", key="order:8").webhook_id

    while send_due().attempts:
        pass
    assert sorted(got.webhook_id for got in receiver.received) == sorted([ids[0], other])
    assert sound()

    let_pass(HOUR)
    while send_due().attempts:
        pass
    assert [got.webhook_id for got in receiver.received if got.webhook_id != other] == ids
    assert sound()


def test_inline_makes_no_attempt_before_its_time(endpoint, receiver):
    publish("order.due", deliver_at=in_an_hour(), inline=True)

    assert (receiver.received, only().attempts_made) == ([], 0)


def test_inline_makes_the_attempt_whose_time_has_come(endpoint):
    publish("order.due", deliver_at=timezone.now() - HOUR, inline=True)

    assert only().state == "delivered"


def test_an_alarm_is_armed_for_it(endpoint):
    publish("order.due", deliver_at=in_an_hour())

    tasks.drain()

    assert abs(Doorbell.objects.get().alarm_at - in_an_hour()) < timedelta(seconds=5)


def test_health_finds_nothing_wrong_with_what_is_for_much_later(endpoint):
    publish("order.due", deliver_at=timedelta(days=300))
    tasks.sweep()
    assert "far_off" not in {ill.code for ill in health.examine()}

    Delivery.objects.update(due_at=F("due_at") + timedelta(days=1))
    assert "far_off" in {ill.code for ill in health.examine()}
    assert len(list(verify(using=DB, repair=True))) == 1
    assert only().due_at == Event.objects.get().deliver_at


def test_many_are_published_for_later_as_one_is(endpoint, send_due):
    publish_many(NewEvent("order.due", deliver_at=HOUR * n) for n in range(3))

    assert [each.due_at for each in Delivery.objects.order_by("pk")][1:] == [
        each.deliver_at for each in Event.objects.order_by("deliver_at")
    ][1:]
    assert send_due().delivered == 1


def test_what_was_missed_or_is_forwarded_waits_too():
    event = publish("order.due", deliver_at=in_an_hour())
    late, other = make_endpoint("https://late.example/"), make_endpoint("https://o.example/", "x")
    now, since = timezone.now(), timezone.now() - HOUR
    first = missing.first_at(since)

    made = missing.make(late, first, event.pk, since=since, most=10, now=now, using=DB)
    assert made.made == 1
    assert forwarding.forward(event, other.pk).delivery is not None

    assert set(Delivery.objects.values_list("due_at", flat=True)) == {event.deliver_at}
    assert sound()


# ── not after


def test_after_it_expired_nothing_is_sent_and_it_is_dead(endpoint, receiver, send_due):
    publish("code.issued", expires_at=HOUR)
    let_pass(HOUR)

    assert send_due().attempts == 1

    assert receiver.received == []
    assert log() == [("expired", "dead", None)]
    assert (only().state, only().reason) == ("dead", "expired")
    assert sound()


def test_before_it_expires_it_is_sent_as_ever(endpoint, receiver, send_due):
    receiver.replies(503)
    publish("code.issued", expires_at=HOUR)

    assert send_due().attempts == 1
    make_due()
    assert send_due().delivered == 1
    assert sound()


def test_who_could_only_wait_for_its_end_is_dead_of_what_failed(
    settings, endpoint, receiver, send_due
):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETRY_SCHEDULE": (60, 7200)}
    receiver.replies(503, 503)
    publish("code.issued", expires_at=HOUR)

    send_due()
    assert only().state == "pending"
    make_due()
    send_due()

    assert log() == [("http_5xx", "retry", 503), ("http_5xx", "dead", 503)]
    assert (only().state, only().reason) == ("dead", "http_5xx")
    assert sound()


def test_a_person_who_redelivers_overrides_the_end(endpoint, receiver, send_due):
    receiver.replies(503)
    publish("code.issued", expires_at=HOUR)
    let_pass(HOUR)
    send_due()

    assert Delivery.objects.dead().redeliver(by="ann").count == 1
    send_due()
    assert (only().state, only().reason) == ("pending", "http_5xx")
    make_due()
    send_due()

    assert log() == [
        ("expired", "dead", None),
        ("http_5xx", "retry", 503),
        ("", "delivered", 200),
    ]
    assert sound()


def test_what_was_held_past_its_end_is_dead_once_it_is_released(endpoint, receiver, send_due):
    endpoints.pause(endpoint.pk, using=DB)
    publish("code.issued", expires_at=HOUR)
    let_pass(HOUR)
    assert only().state == "held"

    endpoints.switch_on(endpoint.pk, using=DB)
    send_due()

    assert (only().state, only().reason, receiver.received) == ("dead", "expired", [])


def test_a_test_and_who_goes_before_in_an_order_are_not_held_up_by_the_dead(
    endpoint, receiver, send_due
):
    publish("code.issued", expires_at=HOUR, key="order:7")
    let_pass(HOUR)
    publish("order.paid", key="order:7")

    while send_due().attempts:
        pass

    assert [got.body.partition(b",")[0] for got in receiver.received] == [b'{"type":"order.paid"']


@pytest.mark.parametrize(("left", "state"), [(HOUR, "pending"), (-HOUR, "dead")])
def test_a_lost_worker_ends_it_if_it_has_expired_meanwhile(settings, endpoint, left, state):
    """Else it is due at once, however long the schedule would wait."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETRY_SCHEDULE": (7200,)}
    publish("code.issued", expires_at=2 * HOUR)
    assert len(lifecycle.claim(1, using=DB)) == 1
    end_leases()
    Event.objects.update(expires_at=timezone.now() + left)

    lifecycle.rescue(using=DB)

    assert (only().state, only().reason) == (state, "worker_lost")
    assert sound()


def test_what_cannot_be_signed_dies_with_its_event(endpoint):
    publish("code.issued", expires_at=timedelta(seconds=2))
    [claim] = lifecycle.claim(1, using=DB)

    found = Finding(claim, Outcome(fault=Fault.SECRET), claim.now())
    lifecycle.settle([found], using=DB)

    assert (only().state, only().reason) == ("dead", "secret")


def test_what_has_expired_is_not_missed():
    publish("code.issued", expires_at=HOUR)
    publish("order.paid")
    let_pass(HOUR)

    since = timezone.now() - 2 * HOUR
    found = missing.missed(make_endpoint(), since, using=DB)

    assert list(found.values_list("event_type", flat=True)) == ["order.paid"]


def test_that_it_expired_says_nothing_about_the_receiver():
    now, expired = timezone.now(), Outcome(fault=Fault.EXPIRED)
    breaker, traffic = Breaker(1, 5, 300), Traffic(failures=3, openings=1)

    assert answered(traffic, breaker, [expired], now) == traffic


@pytest.mark.parametrize(
    ("decision", "seconds", "verdict"),
    [
        (Decision(Verdict.RETRY, 5), None, Verdict.RETRY),
        (Decision(Verdict.RETRY, 5), 5.1, Verdict.RETRY),
        (Decision(Verdict.RETRY, 5), 5.0, Verdict.DEAD),
        (Decision(Verdict.RETRY, 0), -1, Verdict.DEAD),
        (Decision(Verdict.DEFERRED, 5), 4, Verdict.DEAD),
        (Decision(Verdict.DELIVERED), -1, Verdict.DELIVERED),
        (Decision(Verdict.DEAD), -1, Verdict.DEAD),
    ],
)
def test_only_an_attempt_that_can_begin_in_time_is_awaited(decision, seconds, verdict):
    assert in_time(decision, seconds).verdict is verdict


@given(
    schedule=st.lists(st.floats(0, 1000), max_size=8),
    number=st.integers(1, 10),
    left=st.floats(-10, 5000),
)
def test_what_is_foretold_ends_before_the_event_does(schedule, number, left):
    begins = datetime(2026, 11, 21, tzinfo=UTC)
    policy = Policy(schedule=schedule, retry_after_cap=0)
    until = begins + timedelta(seconds=left)

    seen = forecast(policy, number=number, begins=begins, expires_at=until)
    without = forecast(policy, number=number, begins=begins)

    assert without.waits[: len(seen.waits)] == seen.waits
    assert seen.of == number + len(seen.waits)
    assert seen.last or begins + timedelta(seconds=sum(seen.waits)) <= until
    more = without.waits[: len(seen.waits) + 1]
    assert more == seen.waits or sum(more) >= (until - begins).total_seconds() - 1e-6


def test_the_console_tells_both_moments(endpoint):
    publish("code.issued", deliver_at=HOUR, expires_at=2 * HOUR)
    client = client_of(User.objects.create_superuser("ada", password="x"))

    event = client.get(url("event", "change", Event.objects.get().pk)).content.decode()
    delivery = client.get(url("delivery", "change", only().pk)).content.decode()

    assert "Not before" in event
    assert "Expires" in event
    assert "no attempt begins after" in delivery
