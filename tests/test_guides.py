"""The guides are true: their code is run, and their tables are those of the code."""

from __future__ import annotations

import inspect
import io
import re
import shlex
import sys
import types

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from example_project.settings import BASE_DIR
from example_project.shop.models import Order
from tests.library.models import Ticket
from tests.pages import broken_links
from webhook_delivery import publish, receives, registry, signals, tellers
from webhook_delivery.catalogue import entry_of, forget
from webhook_delivery.checks import check_settings
from webhook_delivery.fitting import misfits_of
from webhook_delivery.tellers import registered
from webhook_delivery.testing import vectors
from webhook_delivery.testing.lookups import OPERATORS

pytestmark = pytest.mark.nightly_on_servers

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def guide(name: str) -> str:
    return (BASE_DIR / "docs" / name).read_text()


def run(name: str) -> types.ModuleType:
    """All the code of a guide, in one module; its shop is that of the example project."""
    module = types.ModuleType(name.removesuffix(".md"))
    code = "\n".join(FENCE.findall(guide(name))).replace("from shop.", "from example_project.shop.")
    exec(compile(code, name, "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture
def receiving(settings) -> types.ModuleType:
    cache.clear()
    module = run("receiving.md")
    settings.ROOT_URLCONF = module
    return module


def test_the_guide_to_receiving_receives(receiving, client, settings, capsys):
    receiving.test_an_order_is_heard(client, settings)

    assert capsys.readouterr().out == "order 7\n"


@pytest.mark.parametrize("path", ["/class", "/another", "/tenants"])
def test_each_view_of_the_guide_receives(receiving, settings, path):
    settings.WEBHOOK_SECRETS = receiving.SECRET
    request = receiving.incoming("order.created", secret=receiving.SECRET)
    request["headers"]["x-tenant"] = "acme"

    assert Client(enforce_csrf_checks=True).post(path, **request).status_code == 204


def test_the_arguments_in_the_guide_are_those_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`)? ?\| ", guide("receiving.md"), re.MULTILINE)
    parameters = inspect.signature(receives).parameters.values()

    assert {name: eval(default) for name, default in rows if default} == {
        each.name: each.default for each in parameters if each.default is not each.empty
    }
    assert "secrets" in dict(rows)


class Shop(types.ModuleType):
    """What the guide's app would have: a model that nothing else has registered."""

    Order = Ticket


def test_the_guide_to_the_catalogue_describes(monkeypatch):
    code = FENCE.findall(guide("catalogue.md"))
    shop = code[0].replace('"number", "status", "total"', '"title", "status", "votes"')
    monkeypatch.setitem(sys.modules, "shop", Shop("shop"))
    monkeypatch.setitem(sys.modules, "shop.models", Shop("shop.models"))
    try:
        exec(shop + code[1].replace("order.", "guide."), {"__name__": "shop.webhooks"})
        [created] = [each for each in registered[Ticket].types if each == "order.created"]
        shipped, updated = entry_of("guide.shipped"), entry_of("guide.updated")
    finally:
        registry.unregister(Ticket)
        forget("guide.shipped")
        forget("guide.updated")

    assert created and shipped.schema and shipped.description == "An order has left the house."
    assert misfits_of(shipped.schema, shipped.example) == []
    assert updated.deprecated.startswith("Use guide.shipped")


def test_the_values_of_validate_events_in_the_guide_are_those_of_the_code(settings):
    rows = re.findall(r"^\| `(None|\"\w+\")` \| ", guide("catalogue.md"), re.MULTILINE)
    ours = settings.WEBHOOK_DELIVERY
    for value in map(eval, rows):
        settings.WEBHOOK_DELIVERY = {**ours, "VALIDATE_EVENTS": value}
        assert "webhook_delivery.E009" not in {each.id for each in check_settings(None)}

    assert rows == ["None", '"schema"', '"catalogue"']


def test_the_commands_of_the_guide_to_the_catalogue_run():
    lines = re.findall(r"^\$ python manage.py (.+)$", guide("catalogue.md"), re.MULTILINE)
    for line in lines:
        call_command(*shlex.split(line.partition(" > ")[0]), stdout=io.StringIO())

    assert len(lines) == 3


@pytest.mark.parametrize("name", sorted(page.name for page in (BASE_DIR / "docs").glob("*.md")))
def test_every_file_linked_exists(name):
    assert broken_links(BASE_DIR / "docs" / name) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["publishing.md", "subscribing.md", "asking.md"])
def test_all_the_code_of_the_guide_runs(name):
    handlers = signals.delivery_dead.receivers[:]
    run(name)
    signals.delivery_dead.receivers[:] = handlers


def test_what_the_guide_to_registering_declares_is_accepted():
    told = registered[Order]
    registry.unregister(Order)
    first, *parts = FENCE.findall(guide("registering.md"))
    try:
        exec(first.replace("from shop.", "from example_project.shop."), {})
        for part in parts[:2]:
            exec(part, declared := {})
            validate_rules(declared["transitions"])
    finally:
        registry.unregister(Order)
        registry.register(Order)(type(told))


def validate_rules(transitions: dict) -> None:
    """As a class that is registered has them; the guide's fields are not those of our models."""
    for event_type, rules in transitions.items():
        tellers.validate_rules("Webhooks", event_type, rules)


TESTING = vars(run("testing.md"))
FUNCTIONS = [name for name in TESTING if name.startswith("test_") and name != "test_my_receiver"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_test_in_the_guide_passes(name, request):
    test = TESTING[name]
    fixtures = [request.getfixturevalue(each) for each in inspect.signature(test).parameters]

    test(*fixtures)


def test_the_test_in_the_readme_passes(webhooks):
    readme = (BASE_DIR / "README.md").read_text().partition("\n## Testing with it\n")[2]
    module: dict = {}
    exec(FENCE.findall(readme)[0].replace("from shop.", "from example_project.shop."), module)

    module["test_an_order_tells_the_world"](webhooks)


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_the_vectors_in_the_guide_are_judged_rightly(vector):
    TESTING["test_my_receiver"](vector)


class TheTestCaseInTheGuide(TESTING["OrderTests"]):
    """Passes too."""


def test_the_message_in_the_guide_is_the_real_one(webhooks):
    webhooks.validate = False  # it is about the message, not about the shop
    publish("order.created", {"number": 7})

    with pytest.raises(AssertionError) as failed:
        webhooks.assert_sent("order.created", data__number=8)

    [shown] = re.findall(r"^```text\n(.*?)^```$", guide("testing.md"), re.MULTILINE | re.DOTALL)
    when = re.compile(r'"timestamp":"[^"]+"')
    assert when.sub("", str(failed.value)).startswith(when.sub("", shown))


def test_the_comparisons_in_the_guide_are_those_of_the_code():
    named = guide("testing.md").partition("as in Django's filters:")[2].partition(".\n")[0]

    assert set(re.findall(r"`(\w+)`", named)) == set(OPERATORS)
