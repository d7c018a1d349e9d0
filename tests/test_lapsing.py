"""What was held for very long is a dead letter, not a surprise, when its endpoint is on again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_due
from tests.owing import owe
from tests.test_signals import hearing
from webhook_delivery import batches, endpoints, lifecycle, publish, redelivery
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Lane, Transition
from webhook_delivery.selecting import selection_of
from webhook_delivery.signals import delivery_dead
from webhook_delivery.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
MONTH = timedelta(days=30)


@pytest.fixture
def old(endpoint) -> Delivery:
    """Held since the day after it was made, a month and a bit ago."""
    owe(1, endpoint)
    endpoints.pause(endpoint.pk, using=DB)
    let_pass(MONTH)
    return Delivery.objects.get()


def let_pass(span: timedelta) -> None:
    Delivery.objects.update(created_at=F("created_at") - span - timedelta(seconds=5))
    Event.objects.update(created_at=F("created_at") - span, deliver_at=F("deliver_at") - span)


def ends() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("state", "reason"))


def test_what_was_held_for_too_long_is_dead_and_nothing_is_sent(old, receiver, send_due):
    owe(1, old.endpoint)

    with hearing(delivery_dead) as heard:
        endpoints.switch_on(old.endpoint_id, using=DB)
        send_due()

    assert ends() == [("dead", "lapsed"), ("delivered", "")]
    assert len(receiver.received) == 1
    assert [each["reason"] for each in heard] == ["lapsed"]
    attempt = Attempt.objects.get(delivery=old)
    assert (attempt.fault, attempt.detail) == ("lapsed", "It was held for too long.")
    assert list(verify(using=DB)) == []


def test_it_says_nothing_of_the_receiver(old, send_due):
    endpoints.switch_on(old.endpoint_id, using=DB)
    send_due()

    assert not Lane.objects.filter(failures__gt=0).exists()
    assert not Endpoint.objects.failing().exists()


def test_a_person_sends_it_all_the_same(old, receiver, send_due):
    endpoints.switch_on(old.endpoint_id, using=DB)
    send_due()

    redelivery.redeliver(Delivery.objects.dead())
    send_due()

    assert ends() == [("delivered", "")]
    assert len(receiver.received) == 1


def test_who_asks_that_it_be_sent_now_gets_it_sent(old, receiver, send_due):
    endpoints.switch_on(old.endpoint_id, using=DB)
    Delivery.objects.update(due_at=F("due_at") + timedelta(hours=1))
    redelivery.retry_now(Delivery.objects.all())
    send_due()

    assert ends() == [("delivered", "")]


def test_what_failed_after_its_release_is_not_counted_as_held(old, receiver, send_due, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "HELD_AT_MOST_SECONDS": 0}
    receiver.replies(503, 200)
    endpoints.switch_on(old.endpoint_id, using=DB)
    send_due()
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "HELD_AT_MOST_SECONDS": 60}
    make_due()
    send_due()

    assert ends() == [("delivered", "")]


def test_what_waited_for_other_reasons_is_sent_however_old(endpoint, receiver, send_due):
    owe(1, endpoint)
    let_pass(MONTH)

    send_due()

    assert ends() == [("delivered", "")]


def test_what_was_released_in_time_is_sent_however_long_it_waits_then(old, receiver, send_due):
    Delivery.objects.update(created_at=F("created_at") + MONTH)
    endpoints.switch_on(old.endpoint_id, using=DB)
    Delivery.objects.update(created_at=F("created_at") - MONTH)
    Transition.objects.update(at=F("at") - MONTH)

    send_due()

    assert ends() == [("delivered", "")]


def test_what_is_to_be_sent_later_is_as_old_as_that_wish(endpoint, receiver, send_due):
    publish("order.created", {}, deliver_at=MONTH)
    endpoints.pause(endpoint.pk, using=DB)
    let_pass(MONTH + timedelta(days=3))  # so it was due three days ago
    endpoints.switch_on(endpoint.pk, using=DB)
    make_due()

    send_due()

    assert ends() == [("delivered", "")]


def test_what_is_young_costs_no_query_more(endpoint, receiver):
    owe(3, endpoint)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        lifecycle.claim(3, using=DB)

    assert not any("transition" in query["sql"] for query in asked)


def test_lapsed_ones_can_be_redelivered_by_their_reason(old, send_due):
    endpoints.switch_on(old.endpoint_id, using=DB)
    send_due()

    assert batches.preview(selection_of(reason="lapsed")).sent.of == 1
