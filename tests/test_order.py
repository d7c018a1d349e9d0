"""In order, where it was asked for: one after the other at the receiver, whatever it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import groupby, pairwise

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import end_leases, make_due, make_endpoint
from tests.legal import stranded, unlawful
from tests.processes import environment, run
from tests.test_many_drains import PATIENT
from webhook_delivery import (
    InvalidEvent,
    archive,
    doorbell,
    endpoints,
    health,
    lifecycle,
    publish,
    tasks,
)
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.drain import drain
from webhook_delivery.lifecycle import sequences
from webhook_delivery.lifecycle.sequences import first_before, sequence_of
from webhook_delivery.models import Attempt, Delivery, Doorbell, Endpoint, Event
from webhook_delivery.outcomes import Outcome, fault_of
from webhook_delivery.publishing import publish_test
from webhook_delivery.testing.receiver import SILENCE, Received
from webhook_delivery.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"


def publish_many(count: int, *, key: str = "") -> list[str]:
    return [publish("order.changed", {"n": n}, key=key).webhook_id for n in range(count)]


def claim_all(limit: int = 100) -> list[Claim]:
    return lifecycle.claim(limit, using=DB)


def settle(claims: Iterable[Claim], status: int) -> None:
    outcome = Outcome(status, fault_of(status))
    found = [Finding(claim, outcome, timezone.now(), 0.01) for claim in claims]
    lifecycle.settle(found, using=DB)


def numbers(claims: Iterable[Claim]) -> list[int]:
    return [claim.delivery_id for claim in claims]


def owed(endpoint: Endpoint) -> list[Delivery]:
    return list(Delivery.objects.for_endpoint(endpoint).order_by("pk"))


def turns(requests: Iterable[Received], path: str = "/") -> list[str]:
    """Whose requests came, one after the other: who comes twice was interrupted by another."""
    return [each for each, _ in groupby(got.webhook_id for got in requests if got.path == path)]


def one_after_the_other(deliveries: list[Delivery]) -> bool:
    """Whether, by the log, each began after all attempts of the one before had ended."""
    logs = [list(each.attempts.order_by("number")) for each in deliveries]
    return all(_ended(before[-1]) <= after[0].started_at for before, after in pairwise(logs))


def _ended(attempt: Attempt):
    return attempt.started_at + timedelta(milliseconds=attempt.duration_ms or 0)


def send_all(send_due: Callable) -> None:
    """Drain, and let the time of retries come, until all has ended."""
    while Delivery.objects.unfinished().exists():
        make_due()
        send_due()
        assert unlawful() == []
        assert stranded(list(Delivery.objects.all())) == []


@pytest.fixture
def ordered(receiver) -> Endpoint:
    return make_endpoint(receiver.url(), ordered=True)


# ── at the receiver


def test_each_waits_until_the_one_before_is_delivered_or_dead(receiver, ordered, send_due):
    receiver.replies(503, 503, 200, 404, SILENCE, 200, 429, 200)

    ids = publish_many(7)
    send_all(send_due)

    requests = receiver.wait_for(11)
    assert turns(requests) == ids
    assert [got.status for got in requests] == [503, 503, 200, 404, 0, 200, 429, 200, 200, 200, 200]
    assert one_after_the_other(owed(ordered))
    assert [each.state for each in owed(ordered)] == ["delivered", "dead", *["delivered"] * 5]


def test_a_pause_holds_up_all_that_stand_behind(receiver, ordered, send_due):
    receiver.replies(503)
    ids = publish_many(3)
    send_due()
    endpoints.pause(ordered.pk, using=DB)
    ids += publish_many(2)
    make_due()
    assert send_due().attempts == 0

    endpoints.switch_on(ordered.pk, using=DB)
    send_all(send_due)

    assert turns(receiver.received) == ids
    assert len(receiver.received) == 6


def test_one_that_is_held_alone_holds_up_the_rest(receiver, ordered, send_due):
    first, *_ = ids = publish_many(3)
    lifecycle.hold(Delivery.objects.named(first))
    assert send_due().attempts == 0
    assert stranded(owed(ordered)) == []

    lifecycle.release(Delivery.objects.named(first))
    send_all(send_due)

    assert turns(receiver.received) == ids


def test_keys_go_on_without_each_other_and_so_does_what_has_none(receiver, endpoint, send_due):
    Endpoint.objects.update(retry_schedule=[3600])
    receiver.replies(503)
    slow = publish_many(3, key="order:7")
    send_due()
    other = publish_many(3, key="order:8")
    free = publish_many(2)

    send_due()
    assert {got.webhook_id for got in receiver.received} == {slow[0], *other, *free}

    send_all(send_due)
    assert turns(got for got in receiver.received if got.webhook_id in slow) == slow
    assert turns(got for got in receiver.received if got.webhook_id in other) == other


def test_an_ordered_endpoint_is_one_sequence_whatever_the_keys(receiver, ordered, send_due):
    elsewhere = make_endpoint(receiver.url("/else"))
    ids = [publish("a", {}, key=key).webhook_id for key in ("x", "y", "", "x")]

    send_all(send_due)

    assert turns(receiver.received) == ids
    assert {each.sequence for each in owed(ordered)} == {0}
    assert [each.sequence for each in owed(elsewhere)][2] is None


def test_a_redelivered_dead_letter_goes_before_those_that_stand_behind_it(
    receiver, ordered, send_due
):
    receiver.replies(404, 503)
    first, *rest = publish_many(4)
    send_due()
    assert [each.state for each in owed(ordered)] == ["dead", *["pending"] * 3]

    Delivery.objects.named(first).redeliver(by="ann")
    make_due()
    send_all(send_due)

    assert turns(receiver.received) == [first, rest[0], first, *rest]


def test_a_test_waits_for_nobody_but_the_one_in_flight(receiver, ordered, send_due):
    receiver.replies(503)
    publish_many(2)
    send_due()

    event = publish_test(ordered)
    drain(using=DB, event=event, seconds=1)

    assert event.deliveries.get().state == "delivered"
    assert event.deliveries.get().sequence is None


def test_many_drains_at_once_keep_the_order(receiver):
    path = {name: receiver.url(f"/{name}") for name in ("ordered", "keyed")}
    strict = make_endpoint(path["ordered"], ordered=True)
    keyed = make_endpoint(path["keyed"])
    events = [publish("a", {}, key=f"order:{n % 3}") for n in range(45)]
    receiver.replies(*[503, 200, 200] * 5, path="/ordered")
    env = environment() | {"WEBHOOK_TEST_SETTINGS": json.dumps({**PATIENT, "RETRY_SCHEDULE": [0]})}

    made = json.loads(run("-m", "tests.drains", "4", env=env))

    assert sum(made) == len(receiver.received) == 95
    assert turns(receiver.received, "/ordered") == [event.webhook_id for event in events]
    assert one_after_the_other(owed(strict))
    for n in range(3):
        line = [event.webhook_id for event in events[n::3]]
        assert turns((g for g in receiver.received if g.webhook_id in line), "/keyed") == line
        assert one_after_the_other([each for each in owed(keyed) if each.event in events[n::3]])
    assert unlawful() == []


# ── the verbs


@pytest.mark.usefixtures("claim_path")
def test_a_claim_takes_the_first_and_makes_the_rest_wait_for_their_turn():
    target = make_endpoint(ordered=True)
    publish_many(3)
    first, _second, _third = owed(target)

    assert numbers(claim_all()) == [first.pk]
    assert [each.due_at is None for each in owed(target)] == [False, True, True]
    assert claim_all() == []
    assert unlawful() == stranded(owed(target)) == []
    assert list(verify(using=DB)) == []


@pytest.mark.usefixtures("claim_path")
@pytest.mark.parametrize("status", [204, 404])
def test_a_settle_moves_the_next_one_up(status):
    target = make_endpoint(ordered=True)
    publish_many(3)
    _first, second, _third = owed(target)

    settle(claim_all(), status)

    assert [each.due_at is None for each in owed(target)] == [True, False, True]
    assert numbers(claim_all()) == [second.pk]


def test_whose_turn_comes_after_the_clock_was_set_back_is_as_its_log_says(database_clock):
    target = make_endpoint(ordered=True)
    publish_many(2)
    claims = claim_all()
    database_clock.step(-3600)

    settle(claims, 204)

    _first, second = owed(target)
    assert second.due_at < second.created_at
    assert list(verify(using=DB)) == []


def test_a_retry_keeps_its_place():
    target = make_endpoint(ordered=True)
    publish_many(2)
    settle(claim_all(), 503)

    assert claim_all() == []
    assert stranded(owed(target)) == []


def test_a_lost_worker_keeps_its_place_until_its_attempts_run_out():
    target = make_endpoint(ordered=True, retry_schedule=[0])
    publish_many(2)
    first, second = owed(target)
    for _ in range(2):
        assert numbers(claim_all()) == [first.pk]
        end_leases()
        lifecycle.rescue(using=DB)

    assert owed(target)[0].state == "dead"
    assert numbers(claim_all()) == [second.pk]


def older_comes_back(target: Endpoint) -> tuple[Delivery, list[Claim]]:
    """The dead first of a key is redelivered while the second is in flight, and has to wait."""
    publish_many(2, key="order:7")
    first, _second = owed(target)
    settle(claim_all(), 404)
    flying = claim_all()
    lifecycle.redeliver(Delivery.objects.filter(pk=first.pk))
    assert claim_all() == []
    return first, flying


@pytest.mark.usefixtures("claim_path")
def test_of_one_key_no_two_are_in_flight_even_if_an_older_one_comes_back():
    target = make_endpoint()
    first, flying = older_comes_back(target)

    settle(flying, 503)

    make_due()
    assert numbers(claim_all()) == [first.pk]
    assert unlawful() == stranded(owed(target)) == []


def test_what_is_given_back_lets_an_older_one_pass_that_came_back_meanwhile():
    target = make_endpoint()
    first, flying = older_comes_back(target)

    lifecycle.give_back(flying, using=DB)

    assert numbers(claim_all()) == [first.pk]
    assert stranded(owed(target)) == []


@pytest.mark.parametrize("end", ["delete", "repair"])
def test_the_sweep_moves_up_who_stood_behind_what_ended_otherwise(ordered, end):
    publish_many(2)
    first, second = owed(ordered)
    settle(claim_all(), 503)
    claim_all()
    assert owed(ordered)[1].due_at is None
    if end == "delete":
        Event.objects.get(pk=first.event_id).delete()
    else:
        Attempt.objects.update(verdict="dead")
        list(verify(using=DB, repair=True))
    assert stranded(owed(ordered)) == [second.pk]

    tasks.sweep()

    assert Delivery.objects.get(pk=second.pk).state == "delivered"


def test_the_sweep_finds_every_sequence_page_by_page(monkeypatch):
    monkeypatch.setattr(sequences, "CHUNK", 2)
    first, second = make_endpoint(), make_endpoint(ordered=True)
    for key in ("a", "b", "c", "a", "b", "a"):
        publish("x", {}, key=key)
    Delivery.objects.update(due_at=None)

    assert lifecycle.move_up(using=DB) == 4
    assert lifecycle.move_up(using=DB) == 0

    due = Delivery.objects.filter(due_at__isnull=False).order_by("pk")
    assert list(due.for_endpoint(first)) == owed(first)[:3]
    assert list(due.for_endpoint(second)) == owed(second)[:1]


def test_one_drain_makes_all_wait_whose_turn_has_not_come(ordered, send_due, receiver):
    receiver.replies(429)
    Delivery.objects.bulk_create(
        Delivery(event=event, event_type="a", endpoint=ordered, sequence=0, due_at=timezone.now())
        for event in Event.objects.bulk_create(Event(event_type="a", body=b"") for _ in range(450))
    )

    assert send_due().attempts == 1

    assert Delivery.objects.filter(due_at=None).count() == 449


def test_one_event_that_is_sent_inline_rings_for_who_stands_behind_it(receiver, ordered):
    def a_drain_begins_and_sees_nothing(got):
        doorbell.answer(using=DB)
        connection.close()

    receiver._heard = a_drain_begins_and_sees_nothing
    with transaction.atomic():
        publish("a", {}, inline=True)
        publish("b", {})

    assert len(receiver.received) == 1
    assert numbers(claim_all()) == [owed(ordered)[1].pk]
    assert Doorbell.objects.get().ringing


# ── what it costs


def statements(endpoint: Endpoint) -> list[str]:
    """What a claim and a settle say to the database for two deliveries that are due."""
    publish_many(2)
    with CaptureQueriesContext(connection) as captured:
        settle(claim_all(), 204)
    said = [each["sql"] for each in captured if "webhook_delivery" in each["sql"]]
    assert Delivery.objects.delivered().for_endpoint(endpoint).exists()
    return said


def test_who_asks_for_no_order_pays_for_none():
    target = make_endpoint()
    statements(target)  # lays the lane

    free = statements(target)
    Endpoint.objects.update(ordered=True)
    in_order = statements(target)

    assert len(free) == 10
    assert len(in_order) == len(free) + 6
    assert not [sql for sql in free if "sequence" in sql.partition(" WHERE ")[2]]


# ── what a sequence is


@given(st.text(max_size=200).filter(lambda key: "\0" not in key and key.isprintable()))
def test_a_sequence_is_a_positive_number_that_every_database_can_keep(key):
    sequence = sequence_of(False, key)

    assert sequence is None if not key else 0 < sequence < 2**63
    assert sequence == sequence_of(False, key)
    assert sequence_of(True, key) == 0


@given(st.sets(st.text(min_size=1, max_size=200), max_size=50))
def test_other_keys_are_other_sequences(keys):
    assert len({sequence_of(False, key) for key in keys}) == len(keys)


def test_a_key_is_the_same_sequence_for_ever():
    assert sequence_of(False, "order:7") == 855415019671245048


@pytest.mark.parametrize("key", ["x" * 201, "a\0b", 7, None])
def test_a_key_that_cannot_be_stored_is_refused_before_any_sql(key):
    with CaptureQueriesContext(connection) as captured, pytest.raises(InvalidEvent, match="key"):
        publish("a", {}, key=key)

    assert len(captured) == 0


def test_the_key_is_kept_with_the_event_and_travels_in_a_copy():
    make_endpoint()
    publish("a", {}, key="order:7")

    [line] = archive.export(Delivery.objects.all())

    assert Event.objects.get().key == json.loads(line)["delivery"]["key"] == "order:7"
    assert json.loads(line)["delivery"]["sequence"] == Delivery.objects.get().sequence > 0


# ── what people see


def test_the_page_and_the_command_say_what_it_waits_for(capsys):
    target = make_endpoint(ordered=True)
    publish_many(2)
    first, second = owed(target)
    claim_all()
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))

    page = client.get(reverse("admin:webhook_delivery_delivery_change", args=[second.pk]))
    call_command("webhooks", "show", str(second.pk), "--json")
    [shown] = json.loads(capsys.readouterr().out)
    call_command("webhooks", "show", str(second.pk))

    where = reverse("admin:webhook_delivery_delivery_change", args=[first.pk])
    said = " ".join(page.content.decode().split())
    assert f'<a href="{where}">delivery {first.pk}</a> (sending) stands before it' in said
    assert (shown["key"], shown["waits_for"]) == ("", first.pk)
    assert f"delivery {first.pk} must end first" in capsys.readouterr().out


def test_nobody_stands_before_the_first_nor_before_what_has_ended():
    target = make_endpoint(ordered=True)
    publish_many(3)
    first, _second, third = owed(target)
    assert (first_before(first), first_before(third)) == (None, first)

    settle(claim_all(), 404)
    assert (first_before(owed(target)[0]), first_before(owed(target)[1])) == (None, None)
    Delivery.objects.filter(pk=third.pk).delete()
    assert first_before(third) is None


def test_a_turn_that_is_far_off_is_found_and_mended():
    target = make_endpoint(ordered=True)
    publish_many(1)
    Delivery.objects.update(due_at=timezone.now() + timedelta(days=365))
    assert [each.what for each in verify(using=DB)] == ["due_at"]

    list(verify(using=DB, repair=True))

    assert numbers(claim_all()) == [owed(target)[0].pk]


def test_health_finds_nothing_wrong_with_those_that_wait_for_their_turn():
    doorbell.answer(using=DB)
    make_endpoint(ordered=True)
    publish_many(3)
    claim_all()

    assert health.examine() == []
