"""What one event said is erased for good when a person wants it; that it happened stays."""

from __future__ import annotations

import io
import json
import threading

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse

from tests.conftest import make_due, make_endpoint
from tests.test_locking import in_a_thread
from webhook_delivery import erasing, forwarding, lifecycle, publish, redelivery, verification
from webhook_delivery.claims import Finding
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Endpoint, Event, SearchKey
from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.testing.replies import Reply

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"


@pytest.fixture
def searchable(settings) -> None:
    keys = {"SEARCH_KEYS": {"name": "data.name"}}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **keys}


@pytest.fixture
def told(searchable, receiver, endpoint, send_due) -> Event:
    """An event that a receiver refused, and repeated."""
    receiver.replies(Reply(400, body=b"no such person: Ada"))
    event = publish("person.moved", {"name": "Ada"}, idempotency_key="ada-1")
    send_due()
    return event


def test_nothing_is_left_of_what_it_said(told):
    done = erasing.erase(told, by="dpo", reason="Art. 17")

    event = Event.objects.get()
    assert bytes(event.body) == b""
    assert event.erased_at is not None
    assert not SearchKey.objects.exists()
    assert bytes(Attempt.objects.get().excerpt) == b""
    assert (done.search_keys, done.excerpts, done.ended) == (1, 1, 0)
    assert done.bytes > 0
    assert [*verification.verify(using=DB)] == []


def test_who_did_it_and_why_is_kept(told):
    erasing.erase(told, by="dpo", reason="Art. 17")

    action = ConsoleAction.objects.get()
    assert (action.verb, action.by_name, action.reason) == ("erase", "dpo", "Art. 17")
    assert action.about == told.webhook_id


def test_nothing_of_it_is_ever_sent_again(told, endpoint, receiver, send_due):
    erasing.erase(told)
    other = make_endpoint(receiver.url("/other"), "nothing.at_all")

    done = Delivery.objects.all().redeliver()
    told.refresh_from_db()
    forwarded = forwarding.forward(told, other.pk)
    send_due()

    assert (done.count, done.left) == (0, 1)
    assert forwarded.delivery is None
    assert "was erased" in forwarded.obstacle
    assert "was erased" in redelivery.obstacle(Delivery.objects.select_related("event").get())
    assert len(receiver.received) == 1


def test_its_idempotency_key_is_still_used(told):
    erasing.erase(told)

    assert publish("person.moved", {"name": "Ada"}, idempotency_key="ada-1").pk == told.pk
    assert Event.objects.count() == 1


@pytest.mark.parametrize("state", ["on", "paused"])
def test_what_was_still_to_be_delivered_is_dead_and_says_why(receiver, endpoint, send_due, state):
    Endpoint.objects.update(state=state)
    event = publish("person.moved", {"name": "Ada"})

    done = erasing.erase(event)
    Endpoint.objects.update(state="on")
    send_due()

    delivery = Delivery.objects.get()
    assert (done.ended, delivery.state, delivery.reason) == (1, "dead", "erased")
    assert delivery.ended_at is not None
    attempt = Attempt.objects.get()
    assert (attempt.fault, attempt.verdict) == ("erased", "dead")
    assert receiver.received == []
    assert [*verification.verify(using=DB)] == []


def test_who_stands_behind_it_moves_up(receiver, endpoint, send_due):
    receiver.replies(503)
    first = publish("person.moved", {"n": 1}, key="ada")
    send_due()
    publish("person.moved", {"n": 2}, key="ada")
    send_due()
    assert Delivery.objects.filter(due_at=None).count() == 1

    erasing.erase(first)
    send_due()

    states = list(Delivery.objects.order_by("pk").values_list("state", flat=True))
    assert states == ["dead", "delivered"]


@pytest.mark.parametrize(("answer", "state"), [(200, "delivered"), (503, "dead")])
def test_what_is_being_sent_ends_as_it_ends_and_is_not_sent_again(
    receiver, endpoint, send_due, answer, state
):
    event = publish("person.moved", {"name": "Ada"})
    [claim] = lifecycle.claim(1, using=DB)

    done = erasing.erase(event)
    fault = None if answer == 200 else "http_5xx"
    outcome = Outcome(answer, fault)
    lifecycle.settle([Finding(claim, outcome, started_at=claim.claimed_at)], using=DB)
    make_due()
    send_due()

    assert (done.sending, done.ended) == (1, 0)
    assert Delivery.objects.get().state == state
    assert receiver.received == []
    assert [*verification.verify(using=DB)] == []


def refused(claim) -> Finding:
    """What an attempt found whose answer repeats what it was sent."""
    outcome = Outcome(400, Fault.CLIENT_ERROR, excerpt=b"no such person: Ada")
    return Finding(claim, outcome, started_at=claim.claimed_at)


def test_an_answer_that_comes_after_the_erasure_is_not_kept(endpoint):
    erased, other = [publish("person.moved", {"name": name}) for name in ("Ada", "Bob")]
    claims = lifecycle.claim(2, using=DB)

    erasing.erase(erased)
    assert len(lifecycle.settle([refused(claim) for claim in claims], using=DB)) == 2

    assert bytes(Attempt.objects.get(delivery__event=erased).excerpt) == b""
    assert bytes(Attempt.objects.get(delivery__event=other).excerpt) == b"no such person: Ada"
    assert [*verification.verify(using=DB)] == []


def test_an_answer_that_is_being_recorded_is_waited_for_and_erased(endpoint):
    event = publish("person.moved", {"name": "Ada"})
    [claim] = lifecycle.claim(1, using=DB)
    recorded, erased = threading.Event(), threading.Event()

    def record() -> None:
        with transaction.atomic():
            lifecycle.settle([refused(claim)], using=DB)
            recorded.set()
            erased.wait(1)  # in vain, if the erasure waits

    with in_a_thread(record):
        recorded.wait(10)
        done = erasing.erase(event)
        erased.set()

    assert (done.excerpts, done.sending) == (1, 0)
    assert bytes(Attempt.objects.get().excerpt) == b""


def test_an_endpoint_is_not_blamed_for_what_was_erased(endpoint):
    for _ in range(12):
        erasing.erase(publish("person.moved", {}))

    assert not Endpoint.objects.filter(lane__failures__gt=0).exists()
    assert not Endpoint.objects.failing().exists()


# ── the command


def webhooks(*arguments: str) -> str:
    out = io.StringIO()
    call_command("webhooks", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_foretells_and_then_erases(told):
    name = told.webhook_id

    foretold = json.loads(webhooks("erase", name, "--why", "Art. 17", "--dry-run", "--json"))
    assert (foretold["search_keys"], foretold["excerpts"], foretold["dry_run"]) == (1, 1, True)
    assert bytes(Event.objects.get().body) != b""
    assert webhooks("erase", name, "--why", "x", "--dry-run").startswith("Only foretold. ")

    said = webhooks("erase", name, "--why", "Art. 17", "--by", "dpo")

    assert "1 search keys" in said
    assert bytes(Event.objects.get().body) == b""
    assert ConsoleAction.objects.get().by_name == "dpo"


@pytest.mark.parametrize("name", ["nonsense", "evt_0199a0c0f1d27abc9def0123456789ab"])
def test_the_command_refuses_what_there_is_not(db, name):
    with pytest.raises(CommandError, match=name):
        webhooks("erase", name, "--why", "Art. 17")


# ── the console


def page(event: Event, name: str = "change") -> str:
    return reverse(f"admin:webhook_delivery_event_{name}", args=[event.pk])


@pytest.fixture
def privacy(client, db) -> User:
    """Somebody who may look at events and erase them."""
    user = User.objects.create_user("dpo", password="x", is_staff=True)
    rights = ["view_event", "erase_event", "view_payload", "view_delivery"]
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return user


def test_the_console_asks_and_then_erases(client, privacy, told):
    assert page(told, "erase") in client.get(page(told)).content.decode()
    asked = client.get(page(told, "erase")).content.decode()
    assert "Erase for good" in asked
    assert bytes(Event.objects.get().body) != b""

    unsaid = client.post(page(told, "erase_now"), {"reason": ""})
    assert unsaid.status_code == 200
    assert bytes(Event.objects.get().body) != b""
    done = client.post(page(told, "erase_now"), {"reason": "Art. 17"}, follow=True)

    said = done.content.decode()
    assert "Its body is erased" in said
    assert "body was erased, so there is nothing left to send" in said
    assert page(told, "erase") not in said
    assert ConsoleAction.objects.get().by == privacy
    assert client.get(page(told, "payload")).status_code == 404


def test_to_erase_twice_is_to_erase_once(client, privacy, told):
    for _ in range(2):
        client.post(page(told, "erase_now"), {"reason": "Art. 17"})

    assert ConsoleAction.objects.count() == 1


def test_nobody_else_may(client, privacy, told):
    privacy.user_permissions.remove(Permission.objects.get(codename="erase_event"))

    assert page(told, "erase") not in client.get(page(told)).content.decode()
    assert client.get(page(told, "erase")).status_code == 403
    assert client.post(page(told, "erase_now"), {"reason": "x"}).status_code == 403
    assert bytes(Event.objects.get().body) != b""


def test_a_delivery_whose_body_is_gone_says_so(client, privacy, told):
    erasing.erase(told)
    delivery = Delivery.objects.get()

    shown = client.get(reverse("admin:webhook_delivery_delivery_change", args=[delivery.pk]))

    text = shown.content.decode()
    assert shown.status_code == 200
    assert "body was erased, so there is nothing left to send" in text


def test_a_removed_body_is_told_apart_from_an_erased_one(client, privacy, told):
    Event.objects.update(body=b"", pruned_at=Now())

    shown = client.get(page(told)).content.decode()

    assert "removed when its time was over" in shown
