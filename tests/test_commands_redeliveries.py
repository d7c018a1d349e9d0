"""Redeliveries of many from the shell: begun, followed, slowed down, and what is recovered."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.owing import statements
from tests.shell import Terminal, in_json, run
from tests.test_batches import dead_letters, feed
from webhook_delivery import batches, doorbell, endpoints, publish
from webhook_delivery.management import progress
from webhook_delivery.management.verbs import redelivering, watching
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

State = RedeliveryBatch.State


@pytest.fixture
def acme(receiver) -> Endpoint:
    endpoint = make_endpoint(receiver.url(), name="acme")
    doorbell.answer(using="default")
    return endpoint


@pytest.fixture
def batch(acme) -> RedeliveryBatch:
    dead_letters(2)
    return batches.start(selection_of(endpoint=acme.pk), by="ann")


@pytest.mark.parametrize(
    ("options", "column", "value"),
    [
        (["--rate", "7.5"], "rate_per_second", 7.5),
        (["--canary", "3"], "canary", 3),
        (["--stop-above", "0"], "stop_above", 0),
        (["--once"], "once", True),
    ],
)
def test_whatever_is_to_go_carefully_is_stored(acme, options, column, value):
    dead_letters(2)

    done = in_json("redeliver", "--endpoint", "acme", "--why", "4.2", *options)

    begun = RedeliveryBatch.objects.get()
    assert (done["redelivery"]["id"], done["redelivery"]["of"]) == (begun.pk, 2)
    assert getattr(begun, column) == value
    assert begun.once == (column == "once")
    assert (begun.by_name[:5], begun.reason) == ("shell", "4.2")
    assert begun.selection["endpoint"] == acme.pk
    assert Delivery.objects.dead().count() == 2
    assert f"webhooks redelivery follow {begun.pk}" in done["message"]


def test_more_than_some_are_stored_by_themselves(acme, monkeypatch):
    monkeypatch.setattr(redelivering, "STORED_ABOVE", 2)
    dead_letters(3)

    ran = run("redeliver", "--type", "order.*")

    assert ran.code == 0
    assert "has begun: 3 deliveries. See" in ran.out
    for module in ("batches", "selecting"):
        monkeypatch.setattr(f"webhook_delivery.{module}.COUNTED", 2)
    assert "has begun: 2+ deliveries" in run("redeliver", "--endpoint", "acme", "--once").out
    assert RedeliveryBatch.objects.earliest("pk").selection["event_type"] == "order.*"


def test_all_matching_takes_all_dead_letters_and_nothing_else_does(acme):
    ids = dead_letters(2)

    assert run("redeliver").code == 2
    assert in_json("redeliver", "--all-matching")["redelivered"] == ids


def test_what_is_named_is_stored_by_its_numbers(acme):
    first, _second = dead_letters(2)

    in_json("redeliver", first, "--rate", 1)

    selection = RedeliveryBatch.objects.get().selection
    assert selection == {"state": ["dead", "delivered"], "ids": [first]}


def test_what_dies_later_is_not_meant(acme):
    dead_letters(1)
    in_json("redeliver", "--endpoint", "acme", "--rate", 1)
    begun = RedeliveryBatch.objects.get()
    Delivery.objects.update(ended_at=timezone.now() + timedelta(seconds=1))

    assert batches.preview(begun.selection).chosen.of == 0


def test_what_cannot_be_sent_again_begins_nothing(acme):
    dead_letters(1)
    run("switch-off", "acme")

    ran = run("redeliver", "--endpoint", "acme", "--rate", 1)
    wrong = run("redeliver", "--state", "held", "--rate", 1)

    assert (ran.code, wrong.code) == (1, 2)
    assert "Nothing can be redelivered: 1 of it to endpoints that are not on." in ran.out
    assert "Only what is dead or delivered" in wrong.err
    assert not RedeliveryBatch.objects.exists()


@pytest.mark.parametrize("option", [["--rate", "0"], ["--rate", "x"], ["--canary", "1001"],
                                    ["--stop-above", "100"]])  # fmt: skip
def test_what_makes_no_sense_is_refused(acme, option):
    assert run("redeliver", "--endpoint", "acme", *option).code == 2


def test_nobody_waits_in_vain_for_workers_that_do_not_run(acme):
    dead_letters(1)
    doorbell.Doorbell.objects.update(drained_at=timezone.now() - timedelta(days=1))

    ran = run("redeliver", "--endpoint", "acme", "--rate", 1)

    assert "No worker has reported lately" in ran.err


def test_a_list_of_many_costs_what_a_list_of_one_does(batch, send_due):
    feed(2)
    send_due()
    with statements() as few:
        [one] = in_json("redeliveries")
    dead_letters(3)
    batches.start(selection_of(), by="ann")
    feed(2)
    with statements() as many:
        listed = in_json("redeliveries")

    assert len(many) == len(few)
    assert listed[1] == one
    assert [(each["delivered"], each["waiting"]) for each in listed] == [(0, 3), (2, 0)]


def test_following_shows_how_far_it_is_until_it_has_ended(acme, monkeypatch, send_due):
    """A worker in a thread of its own, that needs two rounds."""
    monkeypatch.setattr(watching, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    dead_letters(3)
    terminal = Terminal()

    def work() -> None:
        feed(3)
        send_due()
        connection.close()

    worker = threading.Timer(0.2, work)
    worker.start()
    ran = run("redeliver", "--endpoint", "acme", "--once", "--follow", err=terminal)
    worker.join()

    assert ran.code == 0, ran
    assert "state            done\n" in ran.out
    assert "delivered        3\n" in ran.out
    assert "3/3" in terminal.getvalue()


def test_following_does_not_wait_for_what_is_held(batch, acme):
    RedeliveryBatch.objects.update(once=True)
    feed(2)
    endpoints.pause(acme.pk, using="default")

    ran = run("redelivery", "follow", batch.pk, "--json")

    assert (ran.code, ran.json["redelivery"]["waiting"]) == (0, 2)


def test_following_ends_when_it_stops_itself_and_exits_1(batch):
    RedeliveryBatch.objects.update(state=State.GUARDED, state_reason="all failed")

    ran = run("redelivery", "follow", batch.pk, "--json")

    assert (ran.code, ran.json["redelivery"]["state_reason"]) == (1, "all failed")


def test_a_redelivery_is_paused_resumed_slowed_down_and_cancelled(batch):
    def now() -> tuple[str, float | None]:
        batch.refresh_from_db()
        return batch.state, batch.rate_per_second

    who = ["--by", "ben", "--why", "slowly"]
    assert in_json("redelivery", "pause", batch.pk, *who)["paused"] == [batch.pk]
    assert now() == ("paused", None)
    assert run("redelivery", "pause", batch.pk, *who).code == 1
    in_json("redelivery", "rate", batch.pk, "--rate", 5, *who)
    assert now() == ("paused", 5)
    in_json("redelivery", "rate", batch.pk, "--rate", "none", *who)
    in_json("redelivery", "resume", batch.pk, *who)
    assert now() == ("running", None)
    ran = run("redelivery", "cancel", batch.pk, *who)
    assert ran.out == f"Redeliveries cancelled: {batch.pk}; left as they are: none.\n"
    assert now() == ("cancelled", None)
    kept = ConsoleAction.objects.filter(by_name="ben").order_by("pk")
    assert [each.verb for each in kept] == [
        "batch paused", "batch rate", "batch rate", "batch running", "batch cancelled",
    ]  # fmt: skip
    assert kept[1].reason == f"#{batch.pk} 5.0 slowly"


def test_a_redelivery_that_is_none_is_not_understood(batch):
    assert run("redelivery", "show", batch.pk + 1).code == 2
    assert run("redelivery", "rate", batch.pk).code == 2
    assert run("redelivery", "pause", batch.pk, "--rate", 5).code == 2
    assert run("redelivery", "follow", batch.pk, batch.pk).code == 2


def test_redeliveries_are_listed_and_shown_with_how_they_fare(batch, send_due):
    batches.start(selection_of(reason="dns"))
    feed(2)
    send_due()

    newest, oldest = in_json("redeliveries")

    facts = ("state", "of", "sent", "delivered", "failed", "by")
    assert [oldest[name] for name in facts] == ["done", 2, 2, 2, 0, "ann"]
    assert newest["of"] == 0
    assert in_json("redelivery", "show", batch.pk) == [oldest]
    assert run("redeliveries", "--ids").out == f"{newest['id']}\n{batch.pk}\n"
    assert run("redeliveries", "--unfinished").out == "No redeliveries match.\n"
    assert run("redeliveries", "--state", "done").out.splitlines()[0].split() == [
        "ID", "STATE", "OF", "SENT", "DELIVERED", "FAILED", "LEFT", "BY", "CREATED_AT", "REASON",
    ]  # fmt: skip


def test_what_an_endpoint_failed_to_take_is_sent_again(acme):
    _old, new = dead_letters(2)
    Delivery.objects.exclude(pk=new).update(ended_at=timezone.now() - timedelta(days=2))

    rehearsed = in_json("recover", "acme", "--since", "1h", "--dry-run")
    done = in_json("recover", "acme", "--since", "1h", "--why", "back", "--canary", 1)

    assert rehearsed["count"] == done["redelivery"]["of"] == 1
    begun = RedeliveryBatch.objects.get()
    assert (begun.kind, begun.canary, begun.reason) == ("again", 1, "back")
    assert run("recover", "acme", "--since", "0s").code == 1


def test_what_an_endpoint_was_never_owed_is_made(acme):
    publish("order.lost", {})
    make_endpoint("https://late.example/", "order.*", name="late")

    rehearsed = run("recover", "late", "--since", "1h", "--missed", "--dry-run")
    done = in_json("recover", "late", "--since", "1h", "--missed", "--rate", 5, "--by", "ann")
    feed()

    assert rehearsed.out == "Would be made: 1. Nothing was changed.\n"
    begun = RedeliveryBatch.objects.get()
    assert (begun.kind, begun.rate_per_second, begun.by_name) == ("missed", 5, "ann")
    assert done["redelivery"]["of"] == 1
    assert Endpoint.objects.get(name="late").deliveries.count() == 1
    again = run("recover", "late", "--since", "1h", "--missed")
    assert (again.code, again.out) == (1, "There is nothing to recover.\n")


def test_what_was_never_sent_cannot_go_once_nor_behind_a_canary(acme):
    ran = run("recover", "acme", "--since", "1h", "--missed", "--canary", 5)

    assert ran.code == 2
    assert "--missed knows --rate only" in ran.err
