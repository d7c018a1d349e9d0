"""`manage.py webhooks …`, as an operator types it."""

import io
import json
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import make_due, make_endpoint
from tests.processes import environment, wait_until
from webhook_delivery import doorbell, publish
from webhook_delivery.models import ConsoleAction, Delivery, Doorbell

pytestmark = pytest.mark.django_db(transaction=True)


def webhooks(*arguments: str) -> str:
    out = io.StringIO()
    call_command("webhooks", *arguments, stdout=out)
    return out.getvalue()


def in_json(*arguments: str):
    return json.loads(webhooks(*arguments, "--json"))


@pytest.fixture
def dead(receiver, endpoint, send_due) -> Delivery:
    receiver.replies(400)
    publish("order.created", {"number": 7})
    send_due()
    return Delivery.objects.get()


def test_drain_sends_what_is_due_and_says_what_it_left(receiver, endpoint):
    receiver.replies(200, 503, 400)
    for _ in range(3):
        publish("order.created", {})

    said = webhooks("drain")

    assert "1 delivered, 1 to be retried, 1 dead. The next is due in" in said
    make_due()
    assert in_json("drain") == {"delivered": 1, "retried": 0, "dead": 0, "next_due": None}
    assert "Nothing waits." in webhooks("drain")


def test_list_filters_as_the_console_does(dead, endpoint, receiver):
    other = make_endpoint(receiver.url("/other"), "user.*")
    publish("user.created", {})
    since = (timezone.now() + timedelta(hours=1)).isoformat()

    assert [row["id"] for row in in_json("list", "--state", "dead")] == [dead.pk]
    assert len(in_json("list", "--endpoint", str(endpoint.pk))) == 2
    assert len(in_json("list", "--endpoint", "other")) == 1 == other.deliveries.count()
    assert len(in_json("list", "--type", "order.*")) == 1
    assert len(in_json("list", "--type", "Order.*")) == 0
    assert len(in_json("list", "--because", "http_4xx")) == 1
    assert in_json("list", "--since", since) == []
    assert len(in_json("list", "--limit", "2")) == 2
    assert "order.created" in webhooks("list")
    assert webhooks("list", "--state", "held") == "No deliveries match.\n"


def test_a_list_never_reads_a_body(dead, django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        webhooks("list")

    assert '"body"' not in queries[0]["sql"]
    assert "`body`" not in queries[0]["sql"]


def test_show_tells_every_attempt_by_number_or_webhook_id(dead):
    said = webhooks("show", str(dead.pk))

    assert "attempt 1" in said
    assert "400 → dead" in said
    [row] = in_json("show", dead.event.webhook_id)
    assert row["log"][0]["verdict"] == "dead"
    with pytest.raises(CommandError, match="no delivery"):
        webhooks("show", "999999")


def test_redeliver_sends_the_same_again_once_and_keeps_who_and_why(dead, receiver, send_due):
    said = webhooks("redeliver", str(dead.pk), "--by", "ann", "--why", "mended")
    with pytest.raises(SystemExit):
        webhooks("redeliver", str(dead.pk))
    send_due()

    assert "1 delivery will be sent again." in said
    first, second = receiver.received
    assert (first.webhook_id, first.body) == (second.webhook_id, second.body)
    action = ConsoleAction.objects.get()
    assert (action.by_name, action.reason, action.count) == ("ann", "mended", 1)


def test_redeliver_by_filter_takes_the_dead_only(dead, receiver, send_due):
    publish("order.created", {})

    done = in_json("redeliver", "--type", "order.*", "--because", "http_4xx")

    assert (done["redelivered"], done["left"]) == ([dead.pk], 0)


def test_redeliver_wants_to_know_what():
    with pytest.raises(CommandError, match="Name deliveries"):
        webhooks("redeliver")
    with pytest.raises(CommandError, match="no delivery or event 99, abc"):
        webhooks("redeliver", "99", "abc")


def test_redelivering_what_waits_does_nothing_says_so_and_exits_1(endpoint, capsys):
    publish("order.created", {})

    with pytest.raises(SystemExit) as exited:
        call_command("webhooks", "redeliver", "--type", "order.*", "--state", "pending")

    assert exited.value.code == 1
    assert "Nothing was redelivered" in capsys.readouterr().out


def test_health_says_what_is_wrong_and_what_to_do_and_exits_1(receiver, endpoint, capsys):
    with pytest.raises(SystemExit) as exited:
        webhooks("health")
    assert exited.value.code == 1

    doorbell.answer(using="default")
    assert webhooks("health") == "Healthy.\n"
    assert in_json("health") == {"healthy": True, "illnesses": []}

    Doorbell.objects.update(drained_at=timezone.now() - timedelta(seconds=200))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("webhooks", "health", stdout=out)
    assert "Nothing has drained for 200 seconds. Start a worker" in out.getvalue()


def test_send_test_sends_now_whatever_the_subscriptions(receiver):
    endpoint = make_endpoint(receiver.url("/mine"), "order.created", name="mine")

    said = webhooks("send-test", "mine")

    assert "test: 200 → delivered" in said
    assert json.loads(receiver.received[0].body)["type"] == "webhook.test"
    assert in_json("send-test", str(endpoint.pk))["state"] == "delivered"


def test_a_test_that_fails_exits_1_and_is_not_repeated(receiver):
    receiver.replies(503)
    make_endpoint(receiver.url("/"), name="mine")

    with pytest.raises(SystemExit) as exited:
        webhooks("send-test", "mine")

    assert exited.value.code == 1
    assert Delivery.objects.get().state == "dead"


def test_send_test_refuses_what_is_not_one_endpoint_that_is_on():
    make_endpoint(name="twin")
    make_endpoint(name="twin")
    make_endpoint(name="off", state="off")

    for name, said in [("twin", "a number, "), ("none", "No endpoint"), ("off", "off: switch")]:
        with pytest.raises(CommandError, match=said):
            webhooks("send-test", name)


def test_a_moment_that_is_none_is_explained(capsys):
    with pytest.raises(CommandError, match="ISO 8601"):
        webhooks("list", "--since", "yesterday")
    with pytest.raises(CommandError, match="whole number above 0"):
        webhooks("list", "--limit", "-1")
    with pytest.raises(CommandError, match="invalid choice: 'nope'"):
        webhooks("list", "--database", "nope")
    assert webhooks("list", "--since", "2026-01-01T00:00") == "No deliveries match.\n"


def test_a_loop_delivers_without_django_q_until_it_is_asked_to_stop(receiver, endpoint):
    receiver.replies(503)
    with subprocess.Popen(
        [sys.executable, "manage.py", "webhooks", "drain", "--loop"],
        cwd=BASE_DIR,
        env=environment(),
        stderr=subprocess.PIPE,
    ) as loop:
        try:
            publish("order.created", {})
            wait_until(lambda: Delivery.objects.delivered().exists(), seconds=20)
            loop.send_signal(signal.SIGTERM)
            assert loop.wait(10) == 0
        finally:
            loop.kill()

    assert len(receiver.received) == 2
