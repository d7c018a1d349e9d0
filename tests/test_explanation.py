"""The explanations are true: states, transitions, examples, figures, and the tests they name."""

from __future__ import annotations

import re
import sqlite3
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import HTTPServer
from inspect import signature
from types import ModuleType

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import isolate_apps
from django.urls import path
from django.utils import timezone

from example_project.settings import BASE_DIR
from example_project.shop.models import Order
from tests.chaos.faults import FAULTS
from tests.conftest import end_leases, make_due, make_endpoint
from tests.explained import (
    VERB,
    Page,
    Row,
    cells,
    codes,
    missing_tests,
    misunderstood,
    table,
    tables,
)
from tests.pages import broken_links
from webhook_delivery import dispatch, doorbell, lifecycle, listening, publish, receives
from webhook_delivery.claims import Claim, Decision, Finding, Settled
from webhook_delivery.conf import Settings
from webhook_delivery.models import Attempt, Delivery, Endpoint, Transition
from webhook_delivery.outcomes import Fault, Outcome, Policy, Verdict, decide, fault_of
from webhook_delivery.testing import incoming
from webhook_delivery.transport import Transport

pytestmark = pytest.mark.nightly_on_servers

DB = "default"
ROWS, STATES, AT_LEAST_ONCE, FAULTS_PAGE, SCALING = PAGES = [
    Page(f"explanation/{name}.md")
    for name in ("rows", "states", "at-least-once", "faults", "scaling")
]

once = pytest.mark.everywhere_once
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)


@once
@each_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert broken_links(page.path) == []


@once
@each_page
def test_each_test_that_is_named_exists(page):
    assert missing_tests(page) == []


@once
@each_page
def test_each_command_that_is_named_is_understood(page):
    assert misunderstood(page) == []


@once
def test_every_page_of_the_folder_is_read_here():
    assert {page.path for page in PAGES} == set(STATES.path.parent.glob("*.md"))


@once
def test_the_nets_are_as_wide_as_is_said():
    assert f"nobody answered for {doorbell.STALE.seconds} s" in ROWS.prose
    assert doorbell.UNTAKEN == 3 and "answer three rings in a row" in ROWS.prose
    assert doorbell.ABSENT.seconds == 600 and "has drained for ten minutes" in ROWS.prose
    assert doorbell.OVERDUE.seconds == 120 and "two minutes overdue" in ROWS.prose
    assert doorbell.HANDOVER_SECONDS == 90 and "whatever all others forgot | 90 s" in ROWS.prose
    assert listening.NET_SECONDS == 2 and "the broker itself | 2 s" in ROWS.prose
    assert listening.POLL_SECONDS == 0.2 and "looks five times a second" in ROWS.prose


# ── states: each verb is tried in each situation, and what it did is what the page says

Edge = tuple[str, str, str, str]
"""From a state, to a state, by a verb, and what the log then says."""
Situation = tuple[str, Callable[[], list[Claim]]]
"""A state, and how to bring the only delivery there; gives the claims in hand."""
Act = Callable[[list[Claim]], object]


def found(claim: Claim, status: int | None, fault: Fault | None = None) -> Finding:
    fault = fault or (fault_of(status) if status else None)
    return Finding(claim, Outcome(status, fault), timezone.now(), 0.01)


def born() -> list[Claim]:
    publish("order.created", {})
    return []


def claimed() -> list[Claim]:
    born()
    return lifecycle.claim(1, using=DB)


def answered(status: int) -> list[Claim]:
    claims = claimed()
    lifecycle.settle([found(claim, status) for claim in claims], using=DB)
    return claims


def lost() -> list[Claim]:
    claims = claimed()
    end_leases()
    return claims


def lost_at_the_last() -> list[Claim]:
    Endpoint.objects.update(retry_schedule=[])
    return lost()


def put_away() -> list[Claim]:
    claims = answered(400)
    lifecycle.discard(Delivery.objects.all())
    return claims


def kept() -> list[Claim]:
    born()
    lifecycle.hold(Delivery.objects.all())
    return []


SITUATIONS: list[Situation] = [
    ("", list),
    ("pending", born),
    ("pending", lambda: answered(503)),
    ("sending", claimed),
    ("sending", lost),
    ("sending", lost_at_the_last),
    ("held", kept),
    ("delivered", lambda: answered(204)),
    ("dead", lambda: answered(400)),
    ("discarded", put_away),
]


def settles(status: int | None, fault: Fault | None = None) -> Act:
    return lambda claims: lifecycle.settle([found(c, status, fault) for c in claims], using=DB)


def erases(claims: list[Claim]) -> None:
    for delivery in Delivery.objects.select_related("event"):
        lifecycle.end_erased(delivery.event, using=DB)


def everything() -> object:
    return Delivery.objects.all()


VERBS: list[tuple[str, Act]] = [
    ("claim", lambda claims: lifecycle.claim(1, using=DB)),
    ("settle", settles(204)),
    ("settle", settles(503)),
    ("settle", settles(400)),
    ("settle", settles(None, Fault.SECRET)),
    ("give_back", lambda claims: lifecycle.give_back(claims, using=DB)),
    ("rescue", lambda claims: lifecycle.rescue(using=DB)),
    ("redeliver", lambda claims: lifecycle.redeliver(everything())),
    ("redeliver", lambda claims: lifecycle.redeliver(everything(), once=True)),
    ("discard", lambda claims: lifecycle.discard(everything())),
    ("restore", lambda claims: lifecycle.restore(everything())),
    ("hold", lambda claims: lifecycle.hold(everything())),
    ("release", lambda claims: lifecycle.release(everything())),
    ("retry_now", lambda claims: lifecycle.retry_now(everything())),
    ("end_erased", erases),
]


def where_it_is() -> tuple[str, Counter[str]]:
    """The state of the only delivery, empty if there is none yet; and what its log says."""
    state = Delivery.objects.values_list("state", flat=True).first() or ""
    log = Counter(Transition.objects.values_list("verb", flat=True))
    return state, log + Counter(Attempt=Attempt.objects.count())


def tried(situation: Situation, endpoint: str, name: str, act: Act) -> Edge | None:
    """What a verb does there, while the endpoint is in that state; None: nothing. Undone then."""
    state, bring = situation
    with transaction.atomic():
        claims = bring()
        Endpoint.objects.update(state=endpoint)
        before, log = where_it_is()
        act(claims)
        after, longer = where_it_is()
        transaction.set_rollback(True)
    assert before == state
    [new] = longer - log or [""]
    return (before, after, name, new) if after != before or new else None


def done() -> Iterator[Edge | None]:
    for endpoint in Endpoint.State.values:
        yield tried(SITUATIONS[0], endpoint, "owe", lambda claims: born())
        for situation in SITUATIONS[1:]:
            for name, act in VERBS:
                yield tried(situation, endpoint, name, act)


def rows_of_the_page() -> list[Row]:
    return table(STATES.text, "from", "to", "by", "log")


def said_by_the_page() -> set[Edge]:
    return {
        ("".join(codes(row["from"])), *codes(row["to"]), *codes(row["by"]), log)
        for row in rows_of_the_page()
        for log in codes(row["log"]) or [""]
    }


@pytest.mark.django_db
def test_what_each_verb_does_in_each_state_is_what_the_page_says():
    make_endpoint()

    assert {edge for edge in done() if edge} == said_by_the_page()


@once
def test_the_page_names_each_state_and_each_verb_of_the_log():
    states = [codes(row["state"])[0] for row in table(STATES.text, "state", "means")]
    logged = {log for *_, log in said_by_the_page()}

    assert sorted(states) == sorted(Delivery.State.values)
    assert logged == {"", "Attempt", *Transition.Verb.values}


@once
def test_the_page_names_every_verb_that_there_is():
    others = {"Owed", "name_types", "sequence_of"}  # not about states

    named = set(codes(STATES.prose))
    assert [verb for verb in lifecycle.__all__ if verb not in named | others] == []


@pytest.mark.django_db
def test_the_columns_of_each_state_are_filled_as_the_page_says():
    make_endpoint()
    filled = {codes(row["state"])[0]: row for row in table(STATES.text, "state", "means")}
    for state, bring in SITUATIONS[1:]:
        with transaction.atomic():
            bring()
            row = Delivery.objects.values("due_at", "claim", "ended_at").get()
            transaction.set_rollback(True)
        for column, value in row.items():
            assert (value is not None) == (filled[state][f"`{column}`"] != "–"), (state, column)


@once
def test_the_picture_shows_what_the_table_says():
    root = ET.parse(STATES.path.parent / "states.svg").getroot()
    groups = list(root.iter("{http://www.w3.org/2000/svg}g"))
    states = {group.get("data-state"): label(group) for group in groups if group.get("data-state")}
    edges = [group for group in groups if group.get("data-by")]

    assert states == {state: [state] for state in Delivery.State.values}
    assert all(label(edge) == edge.get("data-by", "").split() for edge in edges)
    shown = {
        (edge.get("data-from"), edge.get("data-to"), by) for edge in edges for by in label(edge)
    }
    assert shown == {edge[:3] for edge in said_by_the_page()}


def label(group: ET.Element) -> list[str]:
    """The words that are written on it."""
    texts = group.iter("{http://www.w3.org/2000/svg}text")
    return " ".join(text.text or "" for text in texts).replace(",", " ").split()


@once
def test_who_acts_does_it_by_a_command_and_a_button_that_exist():
    sources = [*(BASE_DIR / "webhook_delivery").rglob("admin/**/*.py")]
    sources += (BASE_DIR / "webhook_delivery" / "templates").rglob("*.html")
    shown = "\n".join(source.read_text() for source in sources)
    for row in rows_of_the_page():
        for command in codes(row["who"]):
            assert command.removeprefix("webhooks ").split()[0] in VERB
        for button in re.findall(r"\*([^*]+)\*", row["who"]):
            assert button in shown


@once
def test_what_an_attempt_leads_to_is_what_the_page_says():
    rows = table(STATES.text, "verdict")

    assert [codes(row["verdict"])[0] for row in rows] == list(Verdict)
    for row, verdict in zip(rows, Verdict, strict=True):
        state = Settled(None, Decision(verdict)).state(on=True)
        assert codes(row["the delivery is then"])[0] == state


@once
def test_a_lease_is_as_long_as_the_page_says():
    seconds = Settings.MAX_TIMEOUT_SECONDS + Settings.LEASE_MARGIN_SECONDS

    assert f"`due_at`, {seconds} s from now" in STATES.prose


@pytest.mark.django_db
def test_the_code_of_the_page_reads_the_state_from_the_log_alone():
    make_endpoint()
    answered(503)
    make_due()
    lifecycle.settle([found(claim, 400) for claim in lifecycle.claim(1, using=DB)], using=DB)
    delivery = Delivery.objects.get()
    Delivery.objects.update(state="delivered", attempts_made=7)
    where_it_stands = STATES.run().where_it_stands

    assert where_it_stands(delivery.pk) == "dead"
    Delivery.objects.update(state="dead", attempts_made=2)
    lifecycle.discard(Delivery.objects.all())
    assert where_it_stands(delivery.pk) == "discarded"
    lifecycle.restore(Delivery.objects.all())
    lifecycle.redeliver(Delivery.objects.all())
    assert where_it_stands(delivery.pk) == "pending"


# ── at least once: the receivers of the page, each sent the same twice


@pytest.fixture
def receiving(settings, tmp_path) -> Iterator[ModuleType]:
    """The page's code, its table made, its views at addresses."""
    cache.clear()
    with isolate_apps("example_project.shop"):
        module = AT_LEAST_ONCE.run()
    module.DATABASE = str(tmp_path / "shop.sqlite3")
    module.urlpatterns = [path("orders", module.take_order), path("paid", module.hear)]
    settings.ROOT_URLCONF = module
    settings.WEBHOOK_SECRETS = module.SECRET
    with connection.schema_editor() as editor:
        editor.create_model(module.Heard)
    yield module
    with connection.schema_editor() as editor:
        editor.delete_model(module.Heard)


twice = pytest.mark.django_db(transaction=True)


@twice
def test_a_view_that_receives_is_called_once(receiving, client):
    Order.objects.create(number=7, total="19.90")
    request = incoming("order.paid", {"number": 7}, secret=receiving.SECRET)

    assert client.post("/paid", **request).status_code == 204
    Order.objects.update(status="shipped")
    assert client.post("/paid", **request).status_code == 200
    assert Order.objects.get().status == "shipped"


@twice
def test_the_test_of_the_page_passes(receiving, client, settings):
    receiving.test_an_order_that_comes_twice_is_there_once(client, settings)


@twice
def test_an_id_is_remembered_only_with_its_effect(receiving):
    request = incoming("order.placed", {"number": 7, "total": "19.90"}, secret=receiving.SECRET)
    Order.objects.create(number=7, total="1.00")  # in the way, for a number is unique
    client = Client(raise_request_exception=False)

    assert client.post("/orders", **request).status_code == 500
    assert not receiving.Heard.objects.exists()
    Order.objects.all().delete()
    assert client.post("/orders", **request).status_code == 204
    assert str(Order.objects.get().total) == "19.90"


@contextmanager
def served(handler) -> Iterator[str]:
    """The page's own server, on a socket; its URL."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()
        thread.join()


def rows_in(database: str, name: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(f"SELECT * FROM {name}").fetchall()


@twice
def test_what_a_worker_sent_before_it_died_is_taken_in_once(receiving, send_due):
    with served(receiving.Hook) as url:
        make_endpoint(url)
        event = publish("order.paid", {"number": 7, "status": "paid"})
        [claim] = lifecycle.claim(1, using=DB)
        transport = Transport()
        assert dispatch.attempt(claim, transport).outcome.status == 204
        transport.close()
        end_leases()  # and nobody settles: its worker is dead

        assert send_due().delivered == 1

    log = Attempt.objects.order_by("number").values_list("fault", "status")
    assert list(log) == [("worker_lost", None), ("", 204)]
    assert rows_in(receiving.DATABASE, "heard") == [(event.webhook_id,)]
    [(number, status, _)] = rows_in(receiving.DATABASE, "orders")
    assert (number, status) == (7, "paid")


@twice
def test_what_is_older_replaces_nothing_and_what_is_forged_is_refused(receiving):
    db = sqlite3.connect(":memory:")
    db.executescript(receiving.TABLES)
    for at, status in ((2, "paid"), (3, "shipped"), (1, "new")):
        data = {"number": 7, "status": status}
        receiving.take_in(db, {"timestamp": f"2026-11-21T14:02:1{at}Z", "data": data})
    forged = incoming("order.paid", {"number": 7}, secret=receiving.SECRET)

    assert db.execute("SELECT status FROM orders").fetchall() == [("shipped",)]
    assert receiving.receive(db, forged["headers"], forged["data"] + b" ") == 400
    assert db.execute("SELECT * FROM heard").fetchall() == []
    db.close()


@once
def test_each_answer_leads_to_what_the_page_says():
    policy = Policy(schedule=Settings.RETRY_SCHEDULE, retry_after_cap=60)
    for row in table(AT_LEAST_ONCE.text, "you answer"):
        for status in map(int, codes(row["you answer"])):
            outcome = Outcome(status, fault_of(status))
            verdict = decide(outcome, attempt=1, policy=policy).verdict
            assert codes(row["it is then"]) == [verdict]


@once
def test_the_times_of_the_page_are_the_defaults():
    shortest = round(sum(Settings.RETRY_SCHEDULE) / 60)
    longest = round(shortest * (1 + Settings.RETRY_JITTER))
    least, most = (f"{minutes // 60} h {minutes % 60} min" for minutes in (shortest, longest))

    assert f"by default {least} at least, up to {most} as chance" in AT_LEAST_ONCE.prose
    assert "Keep ids for a week" in AT_LEAST_ONCE.prose
    assert longest * 60 < 7 * 86_400
    assert f"{Settings.RETAIN_DEAD_DAYS} days by default" in AT_LEAST_ONCE.prose
    assert f"({Settings.TIMEOUT_SECONDS} s, unless" in AT_LEAST_ONCE.prose
    assert signature(receives).parameters["remember"].default == 7 * 86_400
    assert "for a week (`remember=`)" in AT_LEAST_ONCE.prose


# ── faults, and figures


@once
def test_every_fault_that_the_harness_makes_is_on_the_page_and_no_other():
    rows = [row for rows in tables(FAULTS_PAGE.text) for row in rows]

    assert {kind for row in rows for kind in codes(row.get("kind", ""))} == set(FAULTS)
    assert all("test_" in row["proof"] or "the " in row["proof"] for row in rows)


RESULTS = (BASE_DIR / "benchmarks" / "RESULTS.md").read_text()
FOUND = re.compile(r"([\d.,]*\d)(?: (?:×|[a-zA-Z%]+))? \(make bench ONLY=(\w+)\)")


def figures() -> Iterator[tuple[str, str, str]]:
    """A figure, the scenario that prints it, and the row that it stands in."""
    for rows in tables(SCALING.text):
        for row in rows if "found" in rows[0] else []:
            [(figure, scenario)] = FOUND.findall(row["found"])
            yield figure, scenario, row["row of the results"]


@once
@pytest.mark.parametrize(("figure", "scenario", "row"), list(figures()))
def test_each_figure_is_one_of_the_results(figure, scenario, row):
    section = RESULTS.partition(f"\n## {scenario}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    mine = [line for line in lines if cells(line)[0] == row]

    assert any(figure in re.findall(r"[\d.,]*\d", line) for line in mine), mine


@once
def test_no_figure_stands_outside_of_the_tables():
    assert len(list(figures())) == SCALING.text.count("(make bench ONLY=") > 0
