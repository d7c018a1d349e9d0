"""What other designs lose when something is declared or published: each loss once, and not here."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction

from example_project.settings import BASE_DIR
from example_project.shop.models import Order
from tests import processes
from tests.conftest import make_endpoint
from tests.library.models import Tag, Ticket
from tests.telling import registered, told, types_told
from webhook_delivery import NewEvent, PayloadNotSerializable, publish, publish_many
from webhook_delivery.models import Delivery, Endpoint, Event, Secret, Subscription

pytestmark = pytest.mark.django_db(transaction=True)

SAVE = "Order.objects.create(number=7, total=1)"


def script(*lines: str) -> list[str]:
    shop = ["import os, signal, django", "django.setup()"]
    models = ["from django.db import transaction", "from example_project.shop.models import Order"]
    return ["-c", "\n".join([*shop, *models, *lines])]


def killed(*lines: str) -> None:
    """Run a process that is killed by what it does itself."""
    done = subprocess.run(
        [sys.executable, *script(*lines)],
        cwd=BASE_DIR,
        env=processes.environment(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_broker_that_is_away_fails_no_save(receiver, send_due):
    """Elsewhere `save()` raises, and the event is lost; or its row is a failure for ever."""
    make_endpoint(receiver.url())

    processes.run(*script(SAVE), broker="stopped")

    assert Order.objects.count() == Event.objects.count() == 1
    send_due()
    assert [one.json()["type"] for one in receiver.received] == ["order.created"]


def test_what_was_rolled_back_is_not_sent(receiver, send_due):
    """Elsewhere the POST goes out from inside of the transaction."""
    make_endpoint(receiver.url())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Order.objects.create(number=7, total=1)
        raise ZeroDivisionError

    send_due()
    assert receiver.received == []


def test_starting_django_asks_nothing_and_deletes_nothing():
    """Elsewhere topics that no setting names are deleted at start, with their subscriptions."""
    make_endpoint("https://acme.example/", "type.nobody.registers")
    lines = [
        "import django",
        "from django.db import connection",
        "connection.execute_wrappers.append(lambda run, *a: print('asked', a[0]) or run(*a))",
        "django.setup()",
        "print('up')",
    ]

    said = processes.run("-c", "\n".join(lines))

    assert said == "up\n"
    assert Subscription.objects.get().pattern == "type.nobody.registers"


def test_secrets_lie_sealed_and_passwords_stay_here():
    """Elsewhere secrets are stored in plain text, and a user's event ships its password's hash."""
    endpoint = make_endpoint()
    user_model = get_user_model()
    with registered(user_model, created="user.created", fields="__all__"):
        user_model.objects.create_user("ann", password="s3cret")

    [(_, data)] = told()
    assert data["username"] == "ann" and "password" not in data
    stored = bytes(Secret.objects.get(endpoint=endpoint).sealed)
    assert b"whsec_" not in stored


def test_loading_a_fixture_is_nothing_that_happened(tmp_path):
    """Elsewhere `loaddata` sends a webhook for each row."""
    make_endpoint()
    order = {"number": 7, "total": "1.00", "placed_at": "2026-11-22T00:00Z"}
    fixture = tmp_path / "orders.json"
    fixture.write_text(json.dumps([{"model": "shop.order", "pk": 1, "fields": order}]))

    call_command("loaddata", str(fixture), stdout=io.StringIO())

    assert Order.objects.exists() and told() == []


def test_bulk_operations_are_something_that_happened():
    """Elsewhere `bulk_create()` and `update()` tell nothing."""
    make_endpoint()
    Order.objects.bulk_create([Order(number=n, total=n) for n in range(2)])
    Order.objects.update(status="paid")
    Order.objects.all().delete()

    assert types_told() == [
        "order.created",
        "order.created",
        "order.updated",
        "order.paid",
        "order.updated",
        "order.paid",
        "order.deleted",
        "order.deleted",
    ]


def test_events_leave_in_the_order_in_which_they_were_published(receiver, send_due):
    """Elsewhere six that were queued go out 5, 4, 3, 2, 1, 0."""
    make_endpoint(receiver.url(), ordered=True)
    for number in range(6):
        publish("order.created", {"number": number})

    for _ in range(6):
        send_due()
    assert [one.json()["data"]["number"] for one in receiver.received] == [0, 1, 2, 3, 4, 5]


def test_what_cannot_be_written_is_told_to_the_caller_and_to_nobody_else(receiver, send_due):
    """Elsewhere customers are sent the words “Serialization failed”."""
    make_endpoint(receiver.url())

    with pytest.raises(PayloadNotSerializable):
        publish("order.created", {"number": object()})

    send_due()
    assert receiver.received == [] and not Event.objects.exists()


def test_a_process_killed_before_the_event_is_written_has_saved_nothing():
    """Elsewhere the row is there, and its event never was."""
    make_endpoint()

    killed(
        "from webhook_delivery import tellers",
        "die = lambda *a: os.kill(os.getpid(), signal.SIGKILL)",
        "type(tellers.registered[Order]).payload = die",
        SAVE,
    )

    assert not Order.objects.exists() and not Event.objects.exists()


def test_a_process_killed_right_after_its_commit_has_lost_nothing(receiver, send_due):
    """Elsewhere what was to be queued on commit is lost with the process."""
    make_endpoint(receiver.url())

    killed(
        "with transaction.atomic():",
        "    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))",
        f"    {SAVE}",
    )

    assert Order.objects.count() == 1
    send_due()
    assert [one.json()["type"] for one in receiver.received] == ["order.created"]


def test_one_that_nobody_hears_does_not_end_the_rest_of_many():
    """Elsewhere a `break` where `continue` is meant drops whatever stands behind it."""
    make_endpoint("https://acme.example/", "order.*", tenant="acme")

    publish_many(
        [
            NewEvent("order.created", tenant="acme"),
            NewEvent("order.created"),
            NewEvent("other.created", tenant="acme"),
            NewEvent("order.paid", tenant="acme"),
        ]
    )

    owed = Delivery.objects.order_by("pk").values_list("event__event_type", flat=True)
    assert list(owed) == ["order.created", "order.paid"]


def test_a_callback_that_fails_on_commit_takes_no_event_along(receiver, send_due):
    """Elsewhere what is queued on commit is swallowed, with the error of the broker."""
    make_endpoint(receiver.url())
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(lambda: 1 / 0)
        publish("order.created")

    send_due()
    assert len(receiver.received) == 1


def test_a_loop_of_first_attempts_sends_each_its_own(receiver):
    """Elsewhere each callback of a loop sends the last id."""
    make_endpoint(receiver.url())
    with transaction.atomic():
        published = [publish("order.created", {"n": n}, inline=True) for n in range(3)]

    assert {one.webhook_id for one in receiver.received} == {one.webhook_id for one in published}


def test_an_endpoint_that_is_off_loses_nobody_elses_event():
    """Elsewhere one disabled subscriber ends the loop over all of them."""
    for number, state in enumerate([Endpoint.State.OFF, Endpoint.State.ON]):
        make_endpoint(f"https://acme.example/{number}", state=state)
    publish("order.created")

    assert [one.endpoint.state for one in Delivery.objects.all()] == [Endpoint.State.ON]


def test_a_changed_relation_is_something_that_happened():
    """Elsewhere adding a tag tells nothing, or needs a signal of one's own."""
    make_endpoint()
    with registered(Ticket, updated="ticket.updated", fields=["tags"]):
        tag = Tag.objects.create(name="a")
        Ticket.objects.create().tags.add(tag)

    assert told() == [("ticket.updated", {"tags": [tag.pk]})]
