"""What the shell shows: lists, groups of failures, the backlog, settings, attempts as they come."""

import io
import json
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.management.color import color_style, no_style
from django.db import OperationalError, connection
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from tests.owing import owe, statements
from tests.processes import environment
from tests.shell import Terminal, in_json, run
from webhook_delivery import publish
from webhook_delivery.management import following
from webhook_delivery.management.following import Follower
from webhook_delivery.management.tables import cell, facts, table
from webhook_delivery.management.verbs import tailing
from webhook_delivery.models import Acknowledgement, Attempt, ConsoleAction, Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Endpoint:
    return make_endpoint(name="acme")


def dead(endpoint: Endpoint, **columns) -> int:
    """The number of a dead letter."""
    [delivery] = owe(1, endpoint)
    ended = {"state": "dead", "due_at": None, "ended_at": timezone.now(), "reason": "timeout"}
    Delivery.objects.filter(pk=delivery.pk).update(**{**ended, **columns})
    return delivery.pk


# ── one


def test_an_event_to_many_is_shown_at_the_cost_of_one_and_without_what_is_long(acme):
    alone = publish("order.paid", {})
    for _ in range(4):
        make_endpoint()
    shared = publish("order.paid", {})
    Attempt.objects.bulk_create(
        Attempt(delivery=each, number=1, trigger="schedule", started_at=timezone.now(), status=503)
        for each in Delivery.objects.all()
    )

    with statements() as few:
        [one] = in_json("show", alone.webhook_id)
    with statements() as many:
        shown = in_json("show", shared.webhook_id)

    assert [len(one["log"]), *(len(each["log"]) for each in shown)] == [1] * 6
    assert len(many) == len(few)
    assert not any("body" in sql or "excerpt" in sql for sql in [*few, *many])


# ── lists


def test_every_filter_of_the_console_narrows_the_list(acme):
    long_ago = timezone.now() - timedelta(days=9)
    one = dead(acme, last_status=503, reason="http_5xx")
    other = dead(make_endpoint(name="globex", tenant="g"), created_at=long_ago, ended_at=long_ago)
    event = publish("shop.closed", {}, source="shop.order:7")
    about = event.deliveries.get().pk

    def listed(*filters: object) -> list[int]:
        return [row["id"] for row in in_json("list", *filters)]

    assert listed() == [about, other, one]
    assert listed("--state", "dead,pending") == [about, other, one]
    assert listed("--state", "dead") == [other, one]
    assert listed("--endpoint", "globex") == [other]
    assert listed("--type", "shop.*") == listed("--event-type", "shop.closed") == [about]
    assert listed("--reason", "timeout") == listed("--because", "timeout") == [other]
    assert listed("--status", 503) == [one]
    assert listed("--status", 0) == [about, other]
    assert listed("--since", "7d") == [about, one]
    assert listed("--until", "7d") == [other]
    assert listed("--died-since", "7d") == [one]
    assert listed("--died-until", "7d") == [other]
    assert listed("--q", event.webhook_id) == [about]
    assert listed("--source", "shop.order:7") == [about]
    assert listed("--tenant", "nobody") == []
    assert listed("--batch", 1, "--fate", "failed") == []
    assert run("list", "--fate", "failed").code == 2
    assert run("list", "--state", "dead,gone").code == 2


def test_columns_stand_below_each_other_and_empty_ones_have_a_sign(acme):
    dead(acme, last_status=None)
    dead(acme, last_status=503)

    head, first, second = run("list").out.splitlines()

    assert head.split()[:3] == ["ID", "STATE", "EVENT_TYPE"]
    assert len(head.split()) == len(first.split()) == len(second.split()) == 9
    assert first.index("dead") == second.index("dead") == head.index("STATE")
    assert second.split()[5] == "-"


@pytest.mark.everywhere_once
def test_colours_are_for_terminals(acme):
    dead(acme)

    plain, coloured = Terminal(), Terminal()
    run("--no-color", "list", out=plain)
    run("--force-color", "list", out=coloured)
    run("list", out=(piped := io.StringIO()))
    assert "dead" in plain.getvalue()

    assert "\x1b[" not in plain.getvalue() + piped.getvalue()
    assert "\x1b[" in coloured.getvalue()


@pytest.mark.everywhere_once
def test_what_strangers_wrote_cannot_move_the_cursor():
    assert cell("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\nc"
    assert cell("Ünïcode 東京") == "Ünïcode 東京"
    row = {"a": True, "b": 1.5, "c": {"x": [1, 2], "y": None}, "d": None}
    assert table(list(row), [row], no_style()).splitlines()[1].split() == [
        "yes", "1.5", "x=1,2;y=-", "-",
    ]  # fmt: skip
    painted = facts({"state": "dead"}, color_style(force_color=True))
    assert painted.startswith("state  \x1b[")


# ── the backlog, the settings, groups


def test_the_backlog_is_counted_for_one_endpoint_or_all(acme):
    owe(2, acme, ago=60)
    dead(make_endpoint(name="globex"))

    assert [in_json("retries")[name] for name in ("due", "dead")] == [2, 1]
    mine = in_json("retries", "--endpoint", "acme")
    assert [mine[name] for name in ("due", "dead")] == [2, 0]
    assert mine["late_seconds"] >= 60
    assert "due            2\n" in run("retries").out


def test_settings_are_printed_without_their_secrets(settings):
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": ["hush"], "CONCURRENCY": 7}

    assert in_json("config", "--changed") == {"CONCURRENCY": 7, "SECRET_KEYS": ["***"]}
    said = run("config").out
    assert "CONCURRENCY" in said
    assert "hush" not in said
    assert ["TIMEOUT_SECONDS", "default", "15"] in [line.split() for line in said.splitlines()]


def test_a_group_of_failures_is_acknowledged_snoozed_and_reopened(acme):
    dead(acme, reason="http_5xx", last_status=503)
    dead(acme)
    who = ["--by", "ann", "--why", "ticket 42"]

    ran = run("acknowledge", "acme", "http_5xx", 503, *who)
    assert ran == (0, f"Acknowledged: {acme.pk} http_5xx 503.\n", "")
    assert run("acknowledge", "acme", "http_5xx", 503, *who).code == 1
    assert run("acknowledge", "acme", "http_5xx", 503, *who, "--dry-run").code == 1
    assert [group["reason"] for group in in_json("groups", "--open")] == ["timeout"]
    assert "ann: ticket 42" in run("groups").out
    in_json("acknowledge", "acme", "http_5xx", 503, "--until", "2h")
    assert Acknowledgement.objects.get().until > timezone.now()
    assert run("reopen", "acme", "timeout").code == 1
    assert run("reopen", "acme", "http_5xx", 503).out == f"Reopened: {acme.pk} http_5xx 503.\n"
    assert not Acknowledgement.objects.exists()
    verbs = ConsoleAction.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["acknowledge", "snooze", "reopen"]


def test_what_is_open_is_found_behind_what_is_not(acme):
    for reason in ("dns", "timeout", "timeout", "reset", "reset", "reset"):
        dead(acme, reason=reason)
    run("acknowledge", "acme", "reset")

    told = in_json("groups", "--open", "--limit", 1)

    assert [each["reason"] for each in told] == ["timeout"]


def test_there_are_no_groups_where_nothing_is_dead(acme):
    assert run("groups").out == "No dead letters, or somebody has seen to all of them.\n"
    assert run("acknowledge", "acme", "dns").code == 1
    assert run("acknowledge", "acme", "nonsense").code == 2


# ── tail


def attempted(delivery: Delivery, number: int = 1, **columns) -> Attempt:
    facts = {"trigger": "schedule", "started_at": timezone.now(), "verdict": "retry"}
    return Attempt.objects.create(delivery=delivery, number=number, **{**facts, **columns})


def test_tail_shows_what_was_attempted_since_and_what_comes(acme, monkeypatch):
    monkeypatch.setattr(tailing, "PAUSE_SECONDS", 0)
    old, mine = owe(2, acme)
    other = owe(1, make_endpoint(name="globex"))[0]
    attempted(old, started_at=timezone.now() - timedelta(days=2))
    attempted(other, verdict="delivered", status=200)
    attempted(mine, fault="timeout", detail="no answer\x1b", duration_ms=9)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    both = run("tail", "--since", "1h", "--limit", 2)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    [line] = run("tail", "--since", "1h", "--endpoint", "acme", "--limit", 1).out.splitlines()
    [told] = run("tail", "--since", "3d", "--limit", 1, "--json").out.splitlines()

    assert len(both.out.splitlines()) == 2
    assert line.endswith("#1 schedule: no answer\\x1b → retry (9 ms)")
    assert json.loads(told)["delivery"] == old.pk


def test_a_follower_tells_of_each_attempt_once_also_of_one_that_commits_late(acme, monkeypatch):
    deliveries = owe(5, acme)
    follower = Follower(using="default")
    first = attempted(deliveries[0])
    assert [each.pk for each in follower.new()] == [first.pk]
    assert follower.new() == []

    later = attempted(deliveries[1], pk=first.pk + 2)
    assert follower.new() == [later]
    late = attempted(deliveries[2], pk=first.pk + 1)
    assert follower.new() == [late]

    monkeypatch.setattr(following, "GRACE_SECONDS", -1)
    assert follower.new() == []
    beyond = attempted(deliveries[3], pk=first.pk + 9)
    assert follower.new() == [beyond]
    assert follower.new() == []


def test_a_long_past_is_read_in_parts_and_each_attempt_told_once(acme, monkeypatch):
    monkeypatch.setattr(following, "AT_ONCE", 2)
    now = timezone.now()
    deliveries = owe(9, acme)
    for ago, delivery in zip(range(9, 0, -1), deliveries, strict=True):
        attempted(delivery, started_at=now - timedelta(hours=ago))
    follower = Follower(using="default", since=now - timedelta(hours=5, minutes=30))

    parts = [follower.new() for _ in range(4)]

    assert [len(part) for part in parts] == [2, 2, 1, 0]
    told = [attempt.delivery_id for part in parts for attempt in part]
    assert told == [delivery.pk for delivery in deliveries[4:]]


def test_a_quiet_tail_costs_one_statement_at_a_time(acme, django_assert_num_queries):
    attempted(owe(1, acme)[0])
    follower = Follower(using="default")

    with django_assert_num_queries(1):
        follower.new()


@pytest.mark.django_db(transaction=True)
def test_tail_can_run_in_a_thread_which_hears_no_signals(acme):
    attempted(owe(1, acme)[0])
    told = []

    def watch() -> None:
        told.append(run("tail", "--since", "1h", "--limit", 1).out)
        connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join(20)

    assert "→ retry" in told[0]


@pytest.mark.django_db(transaction=True)
def test_tail_follows_until_it_is_interrupted_and_exits_0(receiver, send_due):
    receiver.replies(503)
    make_endpoint(receiver.url(), name="acme")
    with subprocess.Popen(
        [sys.executable, "manage.py", "webhooks", "tail", "--json", "--since", "1h"],
        cwd=BASE_DIR,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        try:
            publish("order.created", {"number": 7})
            send_due()
            told = json.loads(tail.stdout.readline())
            tail.send_signal(signal.SIGINT)
            rest, errors = tail.communicate(timeout=10)
        finally:
            tail.kill()

    assert (told["status"], told["verdict"], told["endpoint"]) == (503, "retry", "acme")
    assert (rest, errors, tail.returncode) == ("", "", 0)


def test_a_database_that_is_away_is_no_traceback(acme, monkeypatch):
    def away(*arguments: object, **options: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("webhook_delivery.management.verbs.looking.backlog_of", away)

    ran = run("retries")

    assert (ran.code, ran.err) == (1, "The database does not answer: server closed the connection")


@pytest.mark.everywhere_once
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "999999"], 2, "There is no delivery or event '999999'."),
        (["discard", "--q", "nothing.such"], 1, ""),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_shell_is_told_by_the_exit_status(arguments, code, said):
    ran = subprocess.run(
        [sys.executable, "manage.py", "webhooks", *arguments],
        cwd=BASE_DIR,
        env=environment(),
        capture_output=True,
        text=True,
    )

    assert ran.returncode == code
    assert said in ran.stderr
