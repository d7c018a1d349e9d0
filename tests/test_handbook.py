"""The handbook has a place for whatever may wake somebody; the glossary has the code's words."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.template.loader import render_to_string
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from tests.explained import (
    DOCS,
    VERB,
    Page,
    codes,
    headings,
    missing_tests,
    misunderstood,
    table,
    understood,
)
from tests.owing import owe
from tests.pages import broken_links
from tests.shell import run
from webhook_delivery import batches, endpoints, operational
from webhook_delivery.models import Delivery, Endpoint, Notice, RedeliveryBatch
from webhook_delivery.outcomes import Fault
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.nightly_on_servers

once = pytest.mark.everywhere_once

HANDBOOK, GLOSSARY = PAGES = [Page("handbook.md"), Page("glossary.md")]
PACKAGE = BASE_DIR / "webhook_delivery"
SENTENCE = re.compile("“(.+?)”")
TRANSLATED = {"_", "gettext", "ngettext"}


@once
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_every_link_test_and_command_of_the_page_exists(page):
    assert broken_links(page.path) == []
    assert missing_tests(page) == []
    assert misunderstood(page) == []


# ── what is found wrong, each by its heading


def trouble() -> list[str]:
    """What the headings of troubles name: alerts, and codes of what is found."""
    troubled = HANDBOOK.text.partition("\n## What the overview says\n")[0]
    return re.findall(r"^### (.+)$", troubled, re.MULTILINE)


@once
def test_every_alert_has_its_heading_and_no_other():
    told = yaml.safe_load((DOCS / "monitoring" / "alerts.yaml").read_text())
    alerts = [rule["alert"] for group in told["groups"] for rule in group["rules"]]

    assert sorted(re.findall(r"Webhook\w+", " ".join(trouble()))) == sorted(alerts)


def trees(*files: str) -> Iterator[ast.Module]:
    for file in files:
        yield from (ast.parse(path.read_text()) for path in sorted(PACKAGE.glob(file)))


def calls(*files: str) -> Iterator[ast.Call]:
    for tree in trees(*files):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def constant(node: ast.expr) -> str:
    """A text that is written there; empty for anything else."""
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) else ""


@once
def test_everything_that_health_can_find_has_its_heading_and_no_other():
    found = {constant(call.args[0]) for call in calls("*.py") if name_of(call.func) == "Illness"}

    assert "" not in found
    assert {code for heading in trouble() for code in codes(heading)} == found


@once
def test_each_heading_says_what_it_means_what_to_do_and_whether_to_leave_it():
    for heading in trouble():
        section = HANDBOOK.text.partition(f"\n### {heading}\n")[2].partition("\n##")[0]
        for word in ("Means", "Do", "Leave it"):
            assert f"\n**{word}" in section, f"{heading}: {word}"


# ── what is said in words


def said(*files: str) -> Iterator[str]:
    """The texts for people in these modules; of what can be counted, the singular."""
    for call in calls(*files):
        arguments = [name_of(call.func), *map(constant, call.args)]
        if name_of(call.func) == "partial" and name_of(call.args[0]) in TRANSLATED:
            arguments = arguments[1:]
            arguments[0] = "partial"
        if len(arguments) > 1 and (arguments[0] in TRANSLATED or arguments[0] == "partial"):
            yield arguments[1]


def fits(text: str, line: str) -> bool:
    """Whether a line is the text with its places filled in."""
    pattern = re.sub(r"%\\?\(\w+\\?\)s", ".+", re.escape(text))
    return re.fullmatch(pattern, line) is not None


@once
def test_every_line_of_the_overviews_attention_has_its_row_and_no_other():
    rows = table(HANDBOOK.section("What the overview says"), "line")
    lines = [SENTENCE.findall(row["line"])[0] for row in rows]
    of_page = [text for text in said("admin/overview/screen.py") if text.endswith(".")]
    texts = [*filter(None, said("admin/overview/attention.py")), *of_page]

    assert len(texts) > 6
    assert [text for text in texts if not any(fits(text, line) for line in lines)] == []
    assert [line for line in lines if not any(fits(text, line) for text in texts)] == []


@once
def test_every_mail_has_its_row_with_its_subject():
    rows = {codes(row["mail"])[0]: row for row in table(HANDBOOK.text, "mail", "subject")}

    assert set(rows) == set(Notice.Kind.values)
    for kind, row in rows.items():
        name = f"webhook_delivery/mail/{kind}_subject.txt"
        subject = render_to_string(name, {"endpoint": Endpoint(name="acme")})
        assert row["subject"] == f"“{subject.strip()}”"


@once
def test_every_operational_event_has_its_row_and_no_other():
    rows = table(HANDBOOK.section("Mails and events"), "event")

    assert [codes(row["event"])[0] for row in rows] == list(operational.DESCRIPTIONS)


@once
def test_every_state_and_every_reason_has_its_row_and_no_other():
    states = [codes(row["it is"]) for row in table(HANDBOOK.text, "it is")]
    reasons = [codes(row["reason"])[0] for row in table(HANDBOOK.text, "reason", "whose")]

    assert {state for named in states for state in named} == set(Delivery.State.values)
    assert sorted(reasons) == sorted(Fault)


@once
def test_every_check_has_its_row_and_no_other():
    files = [*PACKAGE.glob("checks/*.py"), PACKAGE / "scheduling" / "oddities.py"]
    source = "\n".join(file.read_text() for file in files)
    known = set(re.findall(r"[\".]([EWI]\d{3})\"", source))

    ids = [codes(row["id"])[0] for row in table(HANDBOOK.section("Checks"), "id")]
    assert len(ids) == len(set(ids))
    assert set(ids) == known


def logged() -> Iterator[str]:
    """Every message of the package at WARNING or above, with … for what is filled in."""
    for tree in trees("**/*.py"):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                yield from (text.replace("%s", "…") for text in _logged(function) if text)


def _logged(function: ast.FunctionDef) -> Iterator[str]:
    named = {
        name_of(node.targets[0]): constant(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args and _complains(node):
            yield constant(node.args[0]) or named.get(name_of(node.args[0]), "")


def _complains(call: ast.Call) -> bool:
    if name_of(call.func) == "_complain":
        return True
    of_logger = isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "logger"
    return of_logger and name_of(call.func) in ("warning", "error", "exception")


@once
def test_every_complaint_of_the_log_has_its_row_and_no_other():
    rows = table(HANDBOOK.section("What the log says"), "line")

    assert {row["line"][1:-1] for row in rows} == set(logged())
    assert len(set(logged())) > 25


# ── commands


@pytest.fixture
def world(db) -> None:
    """What the handbook's commands are about: acme, delivery 4711, redelivery 7."""
    dead = {"state": "dead", "reason": "http_4xx", "last_status": 401}
    [delivery] = owe(1, make_endpoint(name="acme"))
    ended = {"ended_at": timezone.now(), "due_at": None}
    Delivery.objects.filter(pk=delivery.pk).update(id=4711, **dead, **ended)
    batch = batches.start(selection_of(reason="timeout"))
    RedeliveryBatch.objects.filter(pk=batch.pk).update(id=7)


def typed() -> list[str]:
    lines = [*HANDBOOK.typed(), *(each for each in HANDBOOK.mentioned() if " -" in each)]
    return sorted(set(lines))


@pytest.mark.parametrize("line", typed())
def test_each_command_runs_or_would(world, line):
    """Whatever changes something is rehearsed."""
    parsed = understood(line)
    if line.startswith("webhooks "):
        changes = VERB[parsed.verb].changes
        arguments = shlex.split(line)[1:] + (["--dry-run"] if changes else [])
        ran = run(*arguments)
        assert ran.code in (0, 1), ran
        assert ran.out


def test_the_commands_of_afterwards_send_again_what_died_at_a_paused_endpoint(world):
    endpoints.pause(Endpoint.objects.get().pk, using="default")
    block = HANDBOOK.section("Afterwards")
    lines = re.findall(r"^\$ python manage\.py webhooks (.+)", block, re.MULTILINE)

    ran = [run(*shlex.split(line)) for line in lines]

    assert [each.code for each in ran] == [0, 0, 0], ran
    begun = RedeliveryBatch.objects.exclude(pk=7).get()
    assert (begun.expected, begun.canary) == (1, 5)


@once
def test_the_first_minute_changes_nothing():
    minute = HANDBOOK.section("One minute")
    first = re.findall(r"^\$ python manage\.py webhooks (\S+)", minute, re.MULTILINE)

    assert first == ["health", "retries", "endpoints", "groups"]
    assert not any(VERB[verb].changes for verb in first)


# ── the glossary

ELSEWHERE = {
    "ack", "delete", "failed", "flush", "hook", "job", "lock", "log", "message", "reap", "replay",
    "requeue", "resend", "result", "target", "task", "try", "webhook",
}  # fmt: skip
"""What others say for our words."""


def words() -> list[str]:
    return headings(GLOSSARY.text)[1:]


@once
def test_words_are_in_the_order_of_the_alphabet():
    assert words() == sorted(words(), key=lambda word: word.replace("-", " "))
    assert len(words()) == len(set(words()))


@once
def test_each_word_is_one_of_the_packages():
    source = "\n".join(path.read_text().lower() for path in _sources())
    pattern = {word: "[ _-]?".join(re.split("[ -]", word)) for word in words()}

    assert [word for word in words() if not re.search(rf"(?<![a-z]){pattern[word]}", source)] == []


def _sources() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)


@once
def test_no_word_is_one_that_is_said_elsewhere_only():
    never = re.findall(r"Never: (.+?)(?:[;.]|$)", " ".join(GLOSSARY.text.split()))
    told = {word for words in never for word in re.findall(r"\*(\w+)\*", words)}

    assert told == ELSEWHERE
    assert ELSEWHERE.isdisjoint(words())


@once
def test_the_words_of_the_house_have_entries():
    page = " ".join((BASE_DIR / "CONTRIBUTING.md").read_text().split())
    listed = page.partition("One word per idea, in code, admin, logs and docs: ")[2]
    listed = listed.partition(".")[0]
    house = {re.sub(r" \(.*\)", "", word) for word in listed.split(", ")}

    assert len(house) > 10
    assert house - set(words()) == set()
