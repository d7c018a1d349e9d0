"""The guides to coming from other packages are true, and nothing takes more lines with ours."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

import webhook_delivery
from example_project.settings import BASE_DIR
from tests.arrivals import FOLDER, MODULES, PAGES, Running, check, lines, move, scenarios, undone
from tests.library import models, predecessors
from webhook_delivery import registry
from webhook_delivery.models import Endpoint
from webhook_delivery.publishing import publish_test
from webhook_delivery.tellers import registered
from webhook_delivery.testing import Webhooks

pytestmark = pytest.mark.nightly_on_servers

RUFF = BASE_DIR / "pyproject.toml"


@pytest.fixture
def webhooks(webhooks: Webhooks) -> Webhooks:
    """A page says the same type of several payloads, one after the other."""
    webhooks.validate = False
    return webhooks


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, contents in MODULES.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What pages register is unregistered; what was registered before is not theirs."""
    before = set(registered)
    yield
    for model in set(registered) - before:
        registry.unregister(model)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("jrrtolkien", first_name="John", last_name="Tolkien")


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_each_scenario_sends_what_the_page_says(page, user, webhooks):
    running = Running(page, user)

    for each in scenarios(page):
        before = len(webhooks.requests)
        running.run(each)
        webhooks.drain()
        if each.sent:
            check(each.sent, webhooks.requests[before:])


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_the_tests_of_each_page_pass(page, user, request):
    running = Running(page, user)
    with undone(), Webhooks(validate=False):
        for each in scenarios(page):
            running.run(each)

    assert any("webhooks" in inspect.signature(one).parameters for one in running.tests)
    for one in running.tests:
        with undone(), Webhooks(validate=False) as webhooks:
            given = {"webhooks": webhooks}
            names = inspect.signature(one).parameters
            one(**{name: given.get(name) or request.getfixturevalue(name) for name in names})


@pytest.mark.parametrize("page", PAGES)
def test_nothing_takes_more_lines(page):
    longer = {
        each.title: f"{lines(each.now)} instead of {lines(each.code['Before'])}"
        for each in scenarios(page)
        if each.now and lines(each.now) > lines(each.code["Before"])
    }

    assert longer == {}


@pytest.mark.parametrize("page", PAGES)
def test_every_before_has_a_now(page):
    found = [each for each in scenarios(page) if {"Before", "Now"} & set(each.code)]

    assert len(found) >= 8
    assert [each.title for each in found if set(each.code) != {"Before", "Now"}] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_scenario_is_proven(page):
    """By what it sends, or by a test of the page that uses what it defines."""
    tests = [each for each in scenarios(page) if "def test_" in each.now]
    words = set(re.findall(r"\w+", "".join(each.now for each in tests)))
    done = [each for each in scenarios(page) if each.now and not each.sent and each not in tests]

    assert tests
    assert [each.title for each in done if not each.names & words] == []


@pytest.mark.parametrize("page", PAGES)
def test_theirs_and_ours_are_written_in_one_style(page):
    """So that nobody wins by long lines."""
    for each in scenarios(page):
        for label, code in each.code.items():
            done = subprocess.run(
                [sys.executable, "-m", "ruff", "format", "--config", RUFF, "-"],
                input=code,
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == code, f"{page}: {each.title}: {label}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_linked_exists(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (FOLDER / f"{page}.md").read_text())

    assert [link for link in links if not Path(FOLDER / link).exists()] == []


def all_endpoints() -> list[tuple[str, str, str, list[str]]]:
    """Where, whose, in which state, and what each hears of."""
    return [
        (one.url, one.tenant, one.state, sorted(each.pattern for each in one.subscriptions.all()))
        for one in Endpoint.objects.order_by("pk").prefetch_related("subscriptions")
    ]


def headers_of(endpoint: Endpoint, webhooks: Webhooks) -> Any:
    """What a request to it has besides ours."""
    publish_test(endpoint)
    webhooks.drain()
    return webhooks.requests[-1].headers


@pytest.mark.django_db
def test_hooks_of_users_move(user, webhooks):
    other = User.objects.create_user("rowling")
    headers = {"Content-Type": "application/json", "X-Key": "1"}
    for whose, event, target in [
        (user, "book.added", "https://a.example/in"),
        (user, "book.removed", "https://a.example/in"),
        (user, "book.added", "https://b.example/in"),
        (other, "book.added", "https://a.example/in"),
    ]:
        predecessors.Hook.objects.create(user=whose, event=event, target=target, headers=headers)

    move("drf-hooks")

    mine, theirs = str(user.pk), str(other.pk)
    assert all_endpoints() == [
        ("https://a.example/in", mine, "on", ["book.added", "book.removed"]),
        ("https://b.example/in", mine, "on", ["book.added"]),
        ("https://a.example/in", theirs, "on", ["book.added"]),
    ]
    assert headers_of(Endpoint.objects.first(), webhooks)["x-key"] == "1"


@pytest.mark.django_db
def test_webhooks_with_topics_move(webhooks):
    topics = [
        predecessors.WebhookTopic.objects.create(name=f"core.Product/{verb}")
        for verb in ("create", "update", "delete")
    ]
    both = predecessors.TopicWebhook.objects.create(url="https://a.example/in")
    both.topics.set(topics[:2])
    for token in ("4ct9Qhb2hMqzG1vK", "aK1vGzqMh2bhQ9tc"):
        predecessors.WebhookSecret.objects.create(webhook=both, token=token)
    off = predecessors.TopicWebhook.objects.create(url="https://b.example/in", active=False)
    off.topics.set(topics[2:])

    moved = move("django-webhook")

    assert all_endpoints() == [
        ("https://a.example/in", "", "on", ["product.created", "product.updated"]),
        ("https://b.example/in", "", "off", ["product.deleted"]),
    ]
    webhook_delivery.publish("product.created")
    webhooks.drain()
    [request] = webhooks.requests
    for token in ("4ct9Qhb2hMqzG1vK", "aK1vGzqMh2bhQ9tc"):
        request.verify(moved["secret_of"](token))


@pytest.mark.django_db
def test_subscribers_move(webhooks):
    customer = ContentType.objects.get_for_model(models.Customer)
    [on, off] = [
        predecessors.WebhookSubscriber.objects.create(
            name=name,
            content_type=customer,
            target_url=f"https://{name}.example/in",
            secret="s3cr3t",
            headers={"X-Key": "1"},
            max_retries=2,
            timeout=2,
            is_active=name == "on",
        )
        for name in ("on", "off")
    ]
    for subscriber, event, custom in [
        (on, "created", ""),
        (on, "upgraded", ""),
        (on, "deleted", "gone"),
        (off, "created", ""),
    ]:
        subscriber.subscriptions.create(event_name=event, custom_endpoint=custom)

    move("django-webhook-subscriber")

    assert all_endpoints() == [
        ("https://on.example/in", "", "on", ["customer.created", "customer.upgraded"]),
        ("https://on.example/in/gone", "", "on", ["customer.deleted"]),
        ("https://off.example/in", "", "off", ["customer.created"]),
    ]
    first = Endpoint.objects.earliest("pk")
    assert (first.name, first.retry_schedule, first.timeout_seconds) == ("on", [60, 60], 2)
    headers = headers_of(first, webhooks)
    assert (headers["x-key"], headers["x-secret"]) == ("1", "s3cr3t")


@pytest.mark.django_db
def test_webhooks_with_signals_move(webhooks):
    for name, signal, enabled in [
        ("both", "CREATE_OR_DELETE", True),
        ("tags", "UPDATE_OR_M2M", True),
        ("off", "CREATE", False),
    ]:
        predecessors.SignalWebhook.objects.create(
            name=name,
            signal=signal,
            ref="blog.models.Article",
            endpoint=f"https://{name}.example/in",
            headers={"X-Team": "blue"},
            auth_token="Bearer s3cr3t",
            enabled=enabled,
        )

    move("django-signal-webhooks")

    assert all_endpoints() == [
        ("https://both.example/in", "", "on", ["article.created", "article.deleted"]),
        ("https://tags.example/in", "", "on", ["article.updated"]),
        ("https://off.example/in", "", "off", ["article.created"]),
    ]
    headers = headers_of(Endpoint.objects.earliest("pk"), webhooks)
    assert (headers["x-team"], headers["authorization"]) == ("blue", "Bearer s3cr3t")


@pytest.mark.django_db
def test_subscribers_of_thorn_move(user, webhooks):
    for whose, event, secret in [
        (user, "article.*", "C=JTX)v3~dQCl];["),
        (user, "user.created", "another"),
        (None, "article.*", "a third"),
    ]:
        predecessors.Subscriber.objects.create(
            user=whose, event=event, url="https://a.example/in", hmac_secret=secret
        )
    fields = "user_id", "url", "event", "hmac_secret"
    rows = predecessors.Subscriber.objects.order_by("pk").values_list(*fields)

    moved = move("thorn")
    moved["move"](rows)

    assert all_endpoints() == [
        ("https://a.example/in", str(user.pk), "on", ["article.*", "user.created"]),
        ("https://a.example/in", "", "on", ["article.*"]),
    ]
    webhook_delivery.publish("article.created", tenant=str(user.pk))
    webhooks.drain()
    for secret in ("C=JTX)v3~dQCl];[", "another"):
        webhooks.requests[-1].verify(moved["secret_of"](secret))


@pytest.mark.django_db
def test_registered_endpoints_move_with_their_secrets(webhooks):
    first, second = ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    for name, changes in {
        "plain": {"secret": first, "tenant": "acme"},
        "rotated": {
            "secret": second,
            "previous_secret": first,
            "previous_secret_expires_at": timezone.now() + timedelta(hours=1),
        },
        "off": {"secret": second, "is_active": False, "format_name": "cloudevents"},
    }.items():
        row = predecessors.RegisteredEndpoint.objects.create(
            name=name, url=f"https://{name}.example/in", **changes
        )
        for event_name in ("shop.OrderPlaced", "shop.OrderPaid"):
            row.subscriptions.create(event_name=event_name)

    move("django-outbound-webhooks")

    both = ["shop.OrderPaid", "shop.OrderPlaced"]
    assert all_endpoints() == [
        ("https://plain.example/in", "acme", "on", both),
        ("https://rotated.example/in", "", "on", both),
        ("https://off.example/in", "", "off", both),
    ]
    assert [each.format for each in Endpoint.objects.order_by("pk")] == [
        "standard",
        "standard",
        "structured",
    ]
    webhook_delivery.publish("shop.OrderPaid")
    webhook_delivery.publish("shop.OrderPaid", tenant="acme")
    webhooks.drain()
    rotated, plain = webhooks.requests
    for request, secret in [
        (rotated, f"whsec_{first}"),
        (rotated, second),
        (plain, f"whsec_{first}"),
    ]:
        request.verify(secret)
