"""`manage.py webhooks …`, as an operator types it."""

import gc
import io
import json
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import make_due, make_endpoint
from tests.owing import block, blocked_for, owe
from tests.planting import write
from tests.processes import environment, wait_until
from tests.shell import Terminal
from webhook_delivery import doorbell, drain, probing, publish, verification
from webhook_delivery.management import progress
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Doorbell, Event
from webhook_delivery.signals import delivery_succeeded

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
    assert in_json("health") == {"healthy": True, "illnesses": [], "remarks": []}

    Doorbell.objects.update(drained_at=timezone.now() - timedelta(seconds=200))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("webhooks", "health", stdout=out)
    assert "silence: Nothing has drained for 200 seconds. Start a worker" in out.getvalue()


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


def test_a_test_is_sent_though_the_breaker_is_open(receiver):
    endpoint = make_endpoint(receiver.url("/mine"), name="mine", rate_per_second=0.01)
    owe(1, endpoint)
    block(endpoint)

    assert in_json("send-test", "mine")["state"] == "delivered"
    assert blocked_for(endpoint) > 50
    assert len(receiver.received) == 1


def test_a_test_that_a_worker_took_first_is_waited_for(receiver, monkeypatch):
    make_endpoint(receiver.url("/mine"), name="mine")

    def faster(event: Event, **options: object) -> None:
        """A worker that has just claimed it, and sends it in its own time."""
        threading.Timer(0.2, send_in_a_thread).start()

    def send_in_a_thread() -> None:
        drain.drain(using="default", seconds=5)
        connection.close()

    monkeypatch.setattr(probing, "attempt_now", faster)

    assert in_json("send-test", "mine")["state"] == "delivered"


def test_send_test_refuses_what_is_not_one_endpoint():
    make_endpoint(name="twin")
    make_endpoint(name="twin")

    for name, said in [("twin", "a number, "), ("none", "No endpoint")]:
        with pytest.raises(CommandError, match=said):
            webhooks("send-test", name)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.01)


def test_verify_finds_what_is_not_as_its_log_says_and_exits_1_until_it_is_mended(impatient, capsys):
    write("delivered", "waiting")
    assert webhooks("verify") == "Deliveries checked: 2. All is as the log says.\n"
    Delivery.objects.filter(pk=2).update(state="dead")

    with pytest.raises(SystemExit) as exited:
        call_command("webhooks", "verify")

    assert exited.value.code == 1
    said = "delivery 2, state: found dead, expected pending"
    assert capsys.readouterr().out == (
        f"{said}\nDeliveries checked: 2. Faults found: 1, mended: 0.\n"
    )
    assert webhooks("verify", "--repair").startswith(f"{said}; mended\n")
    assert Delivery.objects.get(pk=2).state == "pending"
    assert in_json("verify") == {"discrepancies": [], "checked": 2, "found": 0, "mended": 0}


def test_verify_tells_programs_what_it_found_and_mended(impatient):
    write("waiting", "dead")
    Delivery.objects.update(reason="dns")

    found = {"what": "reason", "found": "dns", "expected": "http_5xx", "mended": True}
    assert in_json("verify", "--repair") == {
        "discrepancies": [{"delivery": 1, **found}, {"delivery": 2, **found}],
        "checked": 2,
        "found": 2,
        "mended": 2,
    }


def test_an_export_restores_what_an_older_backup_has_lost(tmp_path, impatient):
    write("delivered", "dead", "discarded")
    file = tmp_path / "copy.jsonl"
    assert in_json("export", str(file)) == {"file": str(file), "deliveries": 3}
    assert f"Deliveries written to {file}: 3." in webhooks("export", str(file))
    assert [each.name for each in tmp_path.iterdir()] == ["copy.jsonl"]
    Attempt.objects.filter(delivery=1, number=2).delete()
    Delivery.objects.filter(pk=1).update(
        state="pending", due_at="2026-11-01T00:06Z", attempts_made=1
    )

    with pytest.raises(SystemExit):
        webhooks("verify", "--from", str(file))
    said = webhooks("verify", "--from", str(file), "--repair")

    assert "delivery 1, attempt 2: found nothing, expected a record of it; mended" in said
    assert "Lines read: 3 (1 dead, 1 delivered, 1 discarded). Faults found: 1, mended: 1." in said
    assert Delivery.objects.get(pk=1).state == "delivered"
    assert in_json("verify")["found"] == 0


def test_an_export_goes_to_standard_output_and_comes_back_from_the_input(monkeypatch, impatient):
    write("delivered", "dead")

    lines = webhooks("export")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    said = in_json("verify", "--from", "-")

    assert said["states"] == {"delivered": 1, "dead": 1}
    assert said["read"] == len(lines.splitlines()) == 2
    assert len(webhooks("export", "--state", "dead").splitlines()) == 1
    assert webhooks("export", "--type", "user.*") == ""


def test_a_copy_that_cannot_be_read_or_written_is_explained(tmp_path, impatient):
    (tmp_path / "bad").write_text("{}\n")

    with pytest.raises(CommandError, match="missing cannot be read: No such file"):
        webhooks("verify", "--from", str(tmp_path / "missing"))
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        webhooks("export", str(tmp_path / "no" / "where"))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("webhooks", "verify", "--from", str(tmp_path / "bad"), stdout=out)
    assert out.getvalue() == (
        "line 1: found the line has no version, expected a delivery with its log\n"
        "Lines read: 1 (no deliveries). Faults found: 1, mended: 0.\n"
    )


def test_progress_is_shown_on_a_terminal_only_and_never_among_the_output(monkeypatch, impatient):
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    write("delivered", "waiting")
    Delivery.objects.filter(pk=2).update(reason="dns")

    out, terminal, file = io.StringIO(), Terminal(), io.StringIO()
    for err in (terminal, file):
        with pytest.raises(SystemExit):
            call_command("webhooks", "verify", "--json", stdout=out, stderr=err)
    call_command("webhooks", "export", stdout=out, stderr=terminal)

    assert file.getvalue() == ""
    assert "\rdeliveries checked: 100%|" in terminal.getvalue()
    assert "| 2/2 [" in terminal.getvalue().rpartition("\rdeliveries written: 100%|")[2]
    assert terminal.getvalue().endswith(" \r")
    assert "checked" not in out.getvalue().replace('"checked"', "")


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


def test_what_was_there_is_not_looked_through_for_garbage_while_one_sends(endpoint):
    publish("a", {})
    frozen = []

    def count(**told: object) -> None:
        frozen.append(gc.get_freeze_count())

    delivery_succeeded.connect(count)
    try:
        webhooks("drain")
    finally:
        delivery_succeeded.disconnect(count)

    assert frozen[0] > 100_000 > gc.get_freeze_count()


@pytest.mark.parametrize("verb", ["export", "list"])
def test_whoever_has_read_enough_leaves_no_traceback(dead, verb):
    with subprocess.Popen(
        [sys.executable, "manage.py", "webhooks", verb],
        cwd=BASE_DIR,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()

        assert process.stderr.read() == ""

    assert process.returncode == 1
