"""Every verb of `manage.py webhooks`: its help, its JSON, and that a dry run changes nothing."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from inspect import signature
from typing import Any, NamedTuple

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import load_command_class
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from tests.owing import owe
from tests.shell import run
from webhook_delivery import acknowledging, batches, doorbell, publish, verification
from webhook_delivery.clock import Now
from webhook_delivery.grouping import Failure
from webhook_delivery.management.verbs import VERBS
from webhook_delivery.management.verbs.choosing import FILTERS
from webhook_delivery.management.verbs.verb import GROUPS
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.selecting import selection_of

VERB = {verb.name: verb for verb in VERBS}


class Entry(NamedTuple):
    """A way to call a verb that does something in the `world` below."""

    arguments: str
    lines: bool = False
    """Whether it prints a JSON document on each line."""


ENTRIES = {
    "drain": [Entry("")],
    "redeliver": [
        Entry("{dead} --why mended"),
        Entry("--all-matching"),
        Entry("--endpoint acme --rate 10 --canary 2 --stop-above 50 --once"),
    ],
    "recover": [Entry("acme --since 1h"), Entry("late --since 1h --missed --rate 5")],
    "retry-now": [Entry("--endpoint acme")],
    "redelivery": [
        Entry("pause {batch} --why slowly"),
        Entry("cancel {batch}"),
        Entry("rate {batch} --rate 5"),
        Entry("rate {batch} --rate none"),
        Entry("resume {paused}"),
    ],
    "forward": [Entry("{event} globex --why asked")],
    "send-test": [Entry("acme --by ann")],
    "list": [Entry("--state dead,discarded"), Entry("--ids")],
    "show": [Entry("{dead}")],
    "tail": [Entry("--since 1h --limit 1", lines=True)],
    "retries": [Entry("--endpoint acme")],
    "endpoints": [Entry(""), Entry("--state on --ids")],
    "groups": [Entry(f"--group-by {by}") for by in ("failure", "reason", "endpoint", "event_type")],
    "redeliveries": [Entry("--unfinished"), Entry("--ids")],
    "health": [Entry("")],
    "config": [Entry(""), Entry("--changed")],
    "catalogue": [Entry("")],
    "discard": [Entry("{dead}"), Entry("--reason timeout")],
    "restore": [Entry("--endpoint acme")],
    "acknowledge": [Entry("acme timeout --why seen"), Entry("acme timeout --until 2h")],
    "reopen": [Entry("acme dns")],
    "pause": [Entry("acme --until 2h --why moving")],
    "resume": [Entry("globex")],
    "switch-off": [Entry("acme late --why gone")],
    "rotate-secret": [Entry("acme --overlap 1h")],
    "verify": [Entry("--repair")],
    "export": [Entry("", lines=True)],
    "prune": [Entry("--seconds 5")],
    "erase": [Entry("{event} --why forgotten")],
    "rotate-keys": [Entry("")],
    "create-groups": [Entry("")],
}
CASES = [
    pytest.param(name, entry, id=f"{name} {entry.arguments}".strip())
    for name, entries in ENTRIES.items()
    for entry in entries
]


@pytest.fixture
def world(db, receiver, settings, monkeypatch) -> dict[str, object]:
    """Something for each verb to do."""
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.01)
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": keys[1:]}
    publish("order.lost", {})
    acme = make_endpoint(receiver.url("/acme"), name="acme")
    make_endpoint("https://late.example/", "order.lost", name="late")
    owed = owe(6, acme, ago=5)
    owe(1, make_endpoint(name="globex", state="paused"))
    ended: dict[str, Any] = {"state": "dead", "ended_at": timezone.now(), "due_at": None}
    for index, changes in enumerate(
        [
            {**ended, "reason": "timeout"},
            {**ended, "reason": "dns"},
            {**ended, "state": "discarded"},
            {"due_at": Now() + timedelta(hours=1)},
            {"state": "delivered", "ended_at": timezone.now(), "due_at": None},
        ]
    ):
        Delivery.objects.filter(pk=owed[index].pk).update(**changes)
    Delivery.objects.filter(endpoint__name="globex").update(state="held")
    now = timezone.now()
    facts = {"trigger": "schedule", "started_at": now, "verdict": "delivered", "status": 200}
    Attempt.objects.create(delivery=owed[4], number=1, **facts)
    acknowledging.acknowledge(Failure(acme.pk, "dns"), using="default")
    running, paused = (batches.start(selection_of(endpoint=acme.pk)) for _ in range(2))
    batches.pause(paused.pk)
    doorbell.answer(using="default")
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": keys}
    numbers = {"dead": owed[0].pk, "batch": running.pk, "paused": paused.pk}
    return {**numbers, "event": owed[0].event.webhook_id}


def everything() -> dict[str, list[tuple]]:
    """Every row of ours, and the groups of users."""
    models = [*apps.get_app_config("webhook_delivery").get_models(), Group]
    return {
        model.__name__: sorted(
            (tuple(map(str, row)) for row in model._default_manager.values_list()),
        )
        for model in models
        if not model._meta.proxy
    }


def test_every_verb_has_an_entry_here():
    assert list(ENTRIES) == list(VERB)


@pytest.mark.parametrize(("name", "entry"), CASES)
def test_json_is_json_and_a_dry_run_changes_nothing(name, entry, world):
    arguments = [name, *shlex.split(entry.arguments.format(**world)), "--json"]
    before = everything()
    if VERB[name].changes:
        rehearsed = run(*arguments, "--dry-run")
        assert name == "verify" or rehearsed.code == 0, rehearsed
        assert isinstance(rehearsed.json, dict)
    if VERB[name].changes:
        assert everything() == before

    ran = run(*arguments)

    assert ran.code == 0, ran
    assert [json.loads(line) for line in ran.out.splitlines()] if entry.lines else ran.json
    assert (everything() != before) == VERB[name].changes


@pytest.mark.everywhere_once
def test_help_tells_of_every_verb_once_in_its_group():
    command = load_command_class("webhook_delivery", "webhooks")
    said = command.create_parser("manage.py", "webhooks").format_help()

    for verb in VERBS:
        assert said.count(f"\n  {verb.name} ") == 1
    assert [said.index(f"\n{group}:\n") for group in GROUPS] == sorted(
        said.index(f"\n{group}:\n") for group in GROUPS
    )


def parse(line: str):
    """What the parser makes of a line as it is typed, up to where the shell takes over."""
    typed = line.partition(" | ")[0].partition(" > ")[0].removeprefix("manage.py webhooks ")
    command = load_command_class("webhook_delivery", "webhooks")
    return command.create_parser("manage.py", "webhooks").parse_args(shlex.split(typed))


@pytest.mark.everywhere_once
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_examples_that_it_understands(verb, capsys):
    assert verb.group in GROUPS
    assert verb.example
    for line in verb.example.splitlines():
        if line.startswith(verb.name):
            assert parse(line).verb == verb.name
    with pytest.raises(SystemExit):
        parse(f"{verb.name} --help")
    said = capsys.readouterr().out
    assert f"  manage.py webhooks {verb.example.splitlines()[0]}\n" in said
    assert "0: done;" in said
    assert "2: wrong usage" in said
    assert ("--dry-run" in said) == verb.changes
    assert ("1: " in said) == bool(verb.fails)


PAGE = (BASE_DIR / "docs" / "commands.md").read_text()


@pytest.mark.everywhere_once
def test_the_page_tells_of_every_verb_in_the_order_of_the_help():
    headings = re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    by_group = [[group.capitalize(), *in_group(group)] for group in GROUPS]

    assert headings == ["Filters", *(name for names in by_group for name in names)]


def in_group(group: str) -> list[str]:
    return [verb.name for verb in VERBS if verb.group == group]


@pytest.mark.everywhere_once
def test_the_page_has_an_example_of_each_verb_and_all_are_understood():
    typed = re.findall(r"(?<=[$|] )python manage\.py webhooks ([^|\n]+)", PAGE)

    assert {parse(line).verb for line in typed} == set(VERB)


@pytest.mark.everywhere_once
def test_the_page_and_the_console_know_the_same_filters():
    section = PAGE.partition("\n## Filters\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`--.+?) \|", section, re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"--([a-z-]+)", cell)}

    names = {name.replace("_", "-") for name in FILTERS}
    assert told == names | {"type", "because"}
    assert names - {"fate"} <= {
        name.replace("_", "-") for name in signature(selection_of).parameters
    }
