"""What cannot be signed is deferred: it waits, loudly and for nothing, until the key is right."""

from __future__ import annotations

import logging

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from tests.conftest import make_due, make_endpoint
from tests.legal import unlawful
from tests.owing import blocked_for, end_pauses, owe
from webhook_delivery import endpoints, health, lifecycle, publish, verification
from webhook_delivery.models import Attempt, Delivery, Endpoint, Lane, Secret
from webhook_delivery.publishing import attempt_now, publish_test
from webhook_delivery.redelivery import redeliver

pytestmark = pytest.mark.django_db(transaction=True)


def new_key() -> str:
    return Fernet.generate_key().decode()


def spoil_nothing(settings) -> None:
    """The keys are right: those that the endpoint's secrets were sealed with."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": []}


def take_a_wrong_key(settings) -> None:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": [new_key()]}


def take_a_key_that_is_none(settings) -> None:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": ["short"]}


def lose_the_secret(settings) -> None:
    Secret.objects.all().delete()


def swap_the_secret(settings) -> None:
    other = make_endpoint("https://other.example/", "none")
    Secret.objects.exclude(endpoint=other).update(sealed=other.secrets.get().sealed)


def seal_headers_with_another_key(settings) -> None:
    take_a_wrong_key(settings)
    for endpoint in Endpoint.objects.all():
        endpoint.set_headers({"authorization": "Bearer x"})
    spoil_nothing(settings)


SPOILT = {
    "a wrong key": take_a_wrong_key,
    "a key that is none": take_a_key_that_is_none,
    "no secret": lose_the_secret,
    "another's secret": swap_the_secret,
    "another key for the headers": seal_headers_with_another_key,
}


def again(send_due) -> None:
    """Let every pause and every wait be over, and drain."""
    end_pauses()
    make_due()
    send_due()


def differences() -> list[str]:
    return [str(each) for each in verification.verify(using="default")]


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_nothing_is_sent_and_an_attempt_says_why(receiver, endpoint, send_due, settings, spoil):
    spoil(settings)
    event = publish("order.paid", {})

    send_due()

    delivery = event.deliveries.get()
    attempt = delivery.attempts.get()
    assert receiver.received == []
    assert (delivery.state, delivery.reason) == ("pending", "secret")
    assert (attempt.verdict, attempt.fault, attempt.status) == ("deferred", "secret", None)
    assert attempt.detail
    assert attempt.next_due_at == delivery.due_at
    assert (delivery.attempts_made, delivery.attempts_in_run) == (1, 0)
    assert differences() == unlawful() == []


@pytest.mark.parametrize("schedule", [[], [1], [1, 1, 1]], ids=len)
def test_it_never_runs_out_of_attempts_and_has_them_all_once_the_key_is_right(
    receiver, endpoint, send_due, settings, schedule
):
    Endpoint.objects.update(retry_schedule=schedule)
    take_a_wrong_key(settings)
    event = publish("order.paid", {})
    for _ in range(20):
        again(send_due)
    delivery = event.deliveries.get()
    assert (delivery.state, delivery.attempts_made, delivery.attempts_in_run) == ("pending", 20, 0)
    assert differences() == []

    spoil_nothing(settings)
    receiver.replies(*[503] * 20)
    for _ in range(10):
        again(send_due)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("dead", "http_5xx")
    assert len(receiver.received) == len(schedule) + 1
    assert delivery.attempts_made == 20 + len(schedule) + 1
    assert differences() == unlawful() == []


def test_between_two_attempts_it_costs_none_of_them(receiver, endpoint, send_due, settings):
    Endpoint.objects.update(retry_schedule=[1, 1])
    receiver.replies(503, 503, 200)
    event = publish("order.paid", {})
    for spoil in (spoil_nothing, take_a_wrong_key, spoil_nothing, take_a_wrong_key, spoil_nothing):
        spoil(settings)
        again(send_due)

    delivery = event.deliveries.get()
    verdicts = ["retry", "deferred", "retry", "deferred", "delivered"]
    assert [attempt.verdict for attempt in delivery.attempts.all()] == verdicts
    assert delivery.state == "delivered"
    assert differences() == unlawful() == []


def test_it_waits_five_minutes_at_most(endpoint, send_due, settings):
    Endpoint.objects.update(retry_schedule=[86_400])
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETRY_JITTER": 1.0}
    take_a_wrong_key(settings)
    publish("order.paid", {})

    send_due()

    waits = Delivery.objects.pending().first_due_in()
    assert 290 < waits <= 300


def test_after_a_redelivery_it_is_deferred_as_before(receiver, endpoint, send_due, settings):
    receiver.replies(400)
    event = publish("order.paid", {})
    send_due()
    take_a_wrong_key(settings)
    redeliver(event.deliveries.all())

    send_due()

    delivery = event.deliveries.get()
    assert (delivery.state, delivery.attempts_made, delivery.attempts_in_run) == ("pending", 2, 0)
    assert differences() == unlawful() == []


def test_a_paused_endpoint_holds_what_was_deferred(endpoint, send_due, settings):
    take_a_wrong_key(settings)
    event = publish("order.paid", {})
    [claim] = lifecycle.claim(1, using="default")
    endpoints.pause(endpoint.pk, using="default")

    settle_as_the_drain_does(claim)

    delivery = event.deliveries.get()
    assert (delivery.state, delivery.attempts_in_run) == ("held", 0)
    assert differences() == unlawful() == []


def settle_as_the_drain_does(claim) -> None:
    from webhook_delivery.dispatch import attempt
    from webhook_delivery.transport import Transport

    assert lifecycle.settle([attempt(claim, Transport())], using="default")


def test_the_first_attempt_in_the_publishers_process_is_deferred_too(endpoint, settings):
    take_a_wrong_key(settings)

    event = publish("order.paid", {}, inline=True)

    assert event.deliveries.get().attempts.get().verdict == "deferred"


def test_a_test_ends_at_once_for_a_person_waits(receiver, endpoint, settings):
    take_a_wrong_key(settings)

    event = publish_test(endpoint)
    attempt_now(event, using="default", regardless=True)

    delivery = event.deliveries.get()
    assert (delivery.state, delivery.reason, receiver.received) == ("dead", "secret", [])
    assert differences() == unlawful() == []


# ── what it costs


def test_however_much_is_owed_a_minute_adds_a_few_attempts(
    endpoint, send_due, settings, database_clock
):
    take_a_wrong_key(settings)
    owe(2_000, endpoint)

    for _ in range(30):
        send_due()
        database_clock.step(2)

    assert 2 <= Attempt.objects.count() <= 12
    assert Delivery.objects.pending().count() == 2_000
    assert unlawful() == []


def test_a_pause_is_followed_by_one_probe_and_doubles(endpoint, send_due, settings):
    take_a_wrong_key(settings)
    owe(50, endpoint)
    send_due()

    pauses = []
    for _ in range(8):
        before = Attempt.objects.count()
        end_pauses()
        send_due()
        assert Attempt.objects.count() == before + 1
        pauses.append(round(blocked_for(endpoint)))

    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_nobody_else_waits_for_it(receiver, endpoint, send_due, settings):
    other = make_endpoint(receiver.url("/other"))
    Secret.objects.filter(endpoint=endpoint).update(sealed=b"garbage")
    owe(200, endpoint, other)

    assert send_due().delivered == 200
    assert {got.path for got in receiver.received} == {"/other"}


def test_when_the_key_is_put_right_everything_flows(receiver, endpoint, send_due, settings):
    take_a_wrong_key(settings)
    owe(50, endpoint)
    send_due()

    spoil_nothing(settings)
    again(send_due)

    assert Delivery.objects.delivered().count() == 50
    lane = Lane.objects.get(endpoint=endpoint)
    assert (lane.failures, lane.openings, lane.blocked_until) == (0, 0, None)
    assert unlawful() == []


def test_in_order_it_holds_up_the_rest_and_keeps_the_order(receiver, endpoint, send_due, settings):
    Endpoint.objects.update(ordered=True)
    take_a_wrong_key(settings)
    events = [publish("order.paid", {"number": number}) for number in range(3)]
    again(send_due)
    again(send_due)
    assert {attempt.delivery.event_id for attempt in Attempt.objects.all()} == {events[0].pk}

    spoil_nothing(settings)
    again(send_due)

    assert [got.webhook_id for got in receiver.received] == [each.webhook_id for each in events]


# ── how loud it is


def test_each_drain_says_it_once_for_each_endpoint(receiver, endpoint, send_due, settings, caplog):
    other = make_endpoint(receiver.url("/other"))
    owe(30, endpoint, other)
    take_a_wrong_key(settings)

    for drains in (1, 2):
        again(send_due)
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        for pk in (endpoint.pk, other.pk):
            said = [error for error in errors if error.startswith(f"The secrets of endpoint {pk} ")]
            assert len(said) == drains
            assert "SECRET_KEYS" in said[0]
        assert len(errors) == 2 * drains


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_health_fails_and_says_what_to_do_until_it_is_done(
    endpoint, send_due, settings, capsys, spoil
):
    sealed = endpoint.secrets.get().sealed
    spoil(settings)
    publish("order.paid", {})
    call_command("webhooks", "drain")
    capsys.readouterr()

    with pytest.raises(SystemExit):
        call_command("webhooks", "health")

    said = capsys.readouterr().out
    assert f"to endpoint {endpoint.pk} ({endpoint.name})." in said
    for remedy in ("SECRET_KEYS", "SECRET_KEY_FALLBACKS", "rotate-keys", "restart"):
        assert remedy in said
    spoil_nothing(settings)
    Endpoint.objects.update(sealed_headers=b"")
    Secret.objects.update_or_create(endpoint=endpoint, defaults={"sealed": sealed})
    assert [illness.code for illness in health.examine()] == []


def test_health_names_some_of_many(receiver, send_due, settings):
    for number in range(7):
        owe(1, make_endpoint(receiver.url(f"/{number}")))
    take_a_wrong_key(settings)
    call_command("webhooks", "drain")

    [illness] = health.examine()

    assert illness.code == "secret"
    assert illness.seen.count("(") == health.NAMED
    assert illness.seen.endswith("….")


def test_an_endpoint_that_only_fails_is_not_called_shut(receiver, endpoint, send_due):
    receiver.replies(*[503] * 50)
    owe(20, endpoint)
    call_command("webhooks", "drain")
    assert Lane.objects.get().openings

    assert health.examine() == []
