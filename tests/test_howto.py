"""The how-to pages are true: their code is run, their commands are understood, their links lead."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from itertools import chain

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command, get_commands
from django.test import Client
from django.urls import reverse

from example_project.settings import BASE_DIR
from example_project.shop.models import Customer, Order
from tests.conftest import make_endpoint
from tests.pages import broken_links
from tests.test_commands_table import VERB, parse
from webhook_delivery import endpoints, publish, registry
from webhook_delivery.checks import check_settings
from webhook_delivery.claims import lease_seconds
from webhook_delivery.conf import KNOWN
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event
from webhook_delivery.roles import ROLES
from webhook_delivery.tellers import registered
from webhook_delivery.testing import Webhooks

pytestmark = pytest.mark.nightly_on_servers

DOCS = BASE_DIR / "docs"
PAGES = ["ordering.md", "privacy.md", "several-machines.md", "tenants.md", "tutorial.md"]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(?:manage\.py |`)webhooks ([a-z][^`|>\n]*)")
"""A line of the command, in a block or in a sentence, after its name."""
THEIRS = {"SECRET_KEY", "CONN_MAX_AGE"}
"""Settings that are Django's."""


def page(name: str) -> str:
    return (DOCS / name).read_text()


def code(name: str) -> list[str]:
    """Its blocks; its shop is that of the example project."""
    return [block.replace("from shop.", "from example_project.shop.") for block in blocks(name)]


def blocks(name: str) -> list[str]:
    return FENCE.findall(page(name))


def run(name: str) -> types.ModuleType:
    module = types.ModuleType(name.removesuffix(".md"))
    exec(compile("\n".join(code(name)), name, "exec", dont_inherit=True), vars(module))
    return module


@pytest.fixture
def webhooks(webhooks: Webhooks) -> Webhooks:
    """A page says the same type of several payloads."""
    webhooks.validate = False
    return webhooks


@pytest.fixture
def unregistered() -> Iterator[None]:
    """A page registers the shop's orders anew."""
    told = registered[Order]
    registry.unregister(Order)
    yield
    if Order in registered:
        registry.unregister(Order)
    registry.register(Order)(type(told))


# ── every page


def understood(line: str) -> str:
    """The verb of a line as it is typed; of one that only names a verb, that."""
    return line if line in VERB else parse(line).verb


@pytest.mark.parametrize("name", PAGES)
def test_every_line_that_names_the_command_is_understood(name):
    verbs = {understood(line.strip()) for line in TYPED.findall(page(name))}

    assert verbs
    assert verbs <= set(VERB)


@pytest.mark.parametrize("name", PAGES)
def test_every_management_command_exists(name):
    named = set(re.findall(r"python manage\.py ([a-z_]+)", page(name)))

    assert named <= set(get_commands())


@pytest.mark.parametrize("name", PAGES)
def test_every_setting_named_exists(name):
    said = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", page(name)))

    assert said - KNOWN - THEIRS == set()


@pytest.mark.parametrize("name", [*PAGES, "coming-from/requests-post.md", "../README.md"])
def test_every_part_of_a_page_linked_exists(name):
    assert broken_links(DOCS / name) == []


# ── several machines


MACHINES = "several-machines.md"
ENVIRONMENT = {
    "PGHOST": "db.example",
    "PGDATABASE": "shop",
    "PGUSER": "shop",
    "PGPASSWORD": "secret",
    "REDIS_HOST": "redis.example",
    "SECRET_KEY": "not a secret, but as long as one should be, and without repetitions",
    "WEBHOOK_SECRET_KEYS": Fernet.generate_key().decode(),
}


@pytest.mark.everywhere_once
@pytest.mark.parametrize("broker", ["redis", "sqs"])
def test_the_settings_for_several_machines_may_go_live(broker, tmp_path):
    parts = [each for each in code(MACHINES) if broker == "sqs" or '"sqs"' not in each]
    own = 'WEBHOOK_DELIVERY["METRICS_TOKEN"] = "x" * 16'  # the example project mounts that page
    text = "\n".join(["from example_project.settings import *", *parts, own])
    (tmp_path / "production.py").write_text(text)
    env = {**os.environ, **ENVIRONMENT, "DJANGO_SETTINGS_MODULE": "production"}
    command = "check --deploy --tag webhook_delivery --fail-level WARNING"
    assert f"python manage.py {command}" in page(MACHINES)

    done = subprocess.run(
        [sys.executable, "manage.py", *command.split()],
        cwd=BASE_DIR,
        env={**env, "PYTHONPATH": f"{tmp_path}{os.pathsep}{BASE_DIR}"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.everywhere_once
def test_a_lease_is_as_long_as_the_page_says(settings):
    settings.WEBHOOK_DELIVERY = {}
    assert lease_seconds() == 45
    assert "when its lease ends, after 45 s" in page(MACHINES)

    [shorter] = [block for block in blocks(MACHINES) if "MAX_TIMEOUT_SECONDS" in block]
    exec(shorter, {"WEBHOOK_DELIVERY": settings.WEBHOOK_DELIVERY})

    assert lease_seconds() == 25
    assert "a lease of 25 s" in shorter


@pytest.mark.django_db
def test_endpoints_are_taken_along_with_their_secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    acme = make_endpoint("https://acme.example/hook", "order.*", name="acme")
    acme.set_headers({"Authorization": "Bearer s3cr3t"})
    secret = acme.secrets.get().reveal()
    lines = re.findall(r"^\$ python manage\.py ((?:dump|load)data .+)$", page(MACHINES), re.M)

    dump, load = map(shlex.split, lines)
    call_command(*dump)
    Endpoint.objects.all().delete()
    call_command(*load, verbosity=0)

    there = Endpoint.objects.get(name="acme")
    assert there.secrets.get().reveal() == secret
    assert there.kept_headers == {"Authorization": "Bearer s3cr3t"}
    assert [each.pattern for each in there.subscriptions.all()] == ["order.*"]


# ── in order


def test_the_guide_to_order_orders(webhooks, unregistered):
    run("ordering.md")
    assert list(Endpoint.objects.filter(ordered=True).values_list("name", flat=True)) == ["ledger"]
    Endpoint.objects.update(state="off")
    webhooks.endpoint("order.*")
    orders = [Order.objects.create(number=number, total="19.90") for number in (7, 8)]
    for order in orders:
        order.status = "paid"
        order.save()

    webhooks.replies(503).drain()
    first = [(each.json()["type"], each.json()["data"]["number"]) for each in webhooks.requests]
    webhooks.drain(until="ended")

    assert first == [("order.created", 7), ("order.created", 8), ("order.updated", 8)]
    sent = [each.json()["type"] for each in webhooks.requests if each.json()["data"]["number"] == 7]
    assert sent == ["order.created", "order.created", "order.updated"]


def test_show_says_what_the_guide_to_order_says(webhooks, capsys):
    webhooks.endpoint("order.*", ordered=True)
    first, second = (publish("order.packed", {"number": n}) for n in (7, 8))
    webhooks.replies(503).drain()
    said = re.search(r"`(waits for its turn: delivery) \d+ (must end first)`", page("ordering.md"))
    number = Delivery.objects.get(event=first.pk).pk

    call_command("webhooks", "show", second.webhook_id)

    assert f"{said[1]} {number} {said[2]}" in capsys.readouterr().out


# ── tenants


TENANTS = "tenants.md"


@pytest.fixture
def tenants(db, unregistered, settings, monkeypatch) -> types.ModuleType:
    """What the page makes, with the settings that it says."""
    call_command("webhooks", "create-groups", verbosity=0)
    module = run(TENANTS)
    monkeypatch.setitem(sys.modules, "shop.console", module)
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **module.WEBHOOK_DELIVERY}
    return module


def test_the_test_in_the_guide_to_tenants_passes(webhooks, tenants):
    tenants.test_nobody_else_hears_of_it(webhooks)


def test_an_event_is_for_its_tenant_only(tenants):
    owed = Delivery.objects.values_list("endpoint__name", "event__tenant")

    assert list(owed) == [("acme", "acme")]
    assert list(tenants.endpoints_of("globex")) == [tenants.globex]


def test_a_customers_dead_letters_are_sent_again_by_nobody_else(webhooks, tenants):
    webhooks.replies(404).drain()
    [delivery] = tenants.troubles_of("acme")

    assert tenants.send_again("globex", [delivery.pk], tenants.ann).count == 0
    assert tenants.send_again("acme", [delivery.pk], tenants.ann).count == 1


def test_an_operator_of_one_tenant_sees_no_other_in_the_console(tenants):
    publish("order.shipped", {"number": 8}, tenant="globex")
    ann = Client()
    ann.force_login(tenants.ann)

    def shown(model: str) -> list:
        name = f"admin:webhook_delivery_{model}_changelist"
        return list(ann.get(reverse(name)).context["cl"].result_list)

    assert {each.endpoint_id for each in shown("delivery")} == {tenants.acme.pk}
    assert {each.tenant for each in shown("event")} == {"acme"}
    assert shown("endpoint") == [tenants.acme]
    assert ann.get(page_of(tenants.globex)).status_code == 302  # to the start, as Django does


def page_of(endpoint: Endpoint) -> str:
    return reverse("admin:webhook_delivery_endpoint_change", args=[endpoint.pk])


def test_an_operator_of_one_tenant_asks_the_api_for_no_other(tenants):
    tenants.ann.groups.add(tenants.Group.objects.get(name="Webhook admin"))
    ann = Client()
    ann.force_login(tenants.ann)
    api = "/webhooks/api"
    new = {"url": "https://globex.example/in", "subscriptions": ["*"], "tenant": "globex"}

    listed = ann.get(f"{api}/endpoints/").json()["results"]
    assert [each["id"] for each in listed] == [tenants.acme.pk]
    assert ann.get(f"{api}/endpoints/{tenants.globex.pk}/").status_code == 404
    assert ann.post(f"{api}/endpoints/", new, "application/json").status_code == 400
    assert ann.post(f"{api}/retries/drain/", {}, "application/json").status_code == 403
    health = ann.get(f"{api}/health/").json()
    assert (health["healthy"], health["illnesses"]) == (False, [])


def test_every_permission_named_is_one_of_ours():
    known = set(chain.from_iterable(ROLES.values()))
    names = r"`((?:view|change|add)_[a-z_]+)`"

    for name in (TENANTS, "privacy.md"):
        assert set(re.findall(names, page(name))) - known == set()


# ── privacy


def test_who_asks_to_be_forgotten_is(webhooks, settings):
    ann = Customer.objects.create(name="Ann", email="ann@example.com", tenant="ann")
    hers = webhooks.endpoint("*", name="hers", owner=f"shop.customer:{ann.pk}")
    Endpoint.objects.filter(pk=hers.pk).update(contact="ann@example.com")
    declared = next(block for block in blocks("privacy.md") if "SEARCH_KEYS" in block)
    exec(declared, said := {})
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **said["WEBHOOK_DELIVERY"]}
    publish("invoice.sent", {"customer": ann.pk, "to": "ann@example.com"})
    other = publish("invoice.sent", {"customer": ann.pk + 1, "to": "bob@example.com"})

    run("privacy.md")

    bodies = [bytes(each) for each in Event.objects.values_list("body", flat=True)]
    assert [body for body in bodies if b"nn@example.com" in body] == []
    assert Event.objects.get(pk=other.pk).body
    assert ConsoleAction.objects.filter(verb="erase", by_name="privacy@shop.example").count() == 3
    assert Endpoint.objects.get(pk=hers.pk).state == "off"
    assert not Endpoint.objects.filter(contact__contains="ann").exists()
    endpoints.switch_on(hers.pk, using="default")
    webhooks.drain(until="ended")
    assert [each.json()["type"] for each in webhooks.requests] == [
        "invoice.sent",
        "customer.erased",
    ]


@pytest.mark.everywhere_once
def test_the_settings_of_the_guide_to_privacy_are_accepted(settings):
    declared = next(block for block in blocks("privacy.md") if "SEARCH_KEYS" in block)
    exec(declared, said := {})
    settings.WEBHOOK_DELIVERY = said["WEBHOOK_DELIVERY"]

    assert check_settings(None) == []
