"""Reads the guides to coming from other packages, and runs what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from example_project.settings import BASE_DIR
from tests.library import models, predecessors
from webhook_delivery import registry
from webhook_delivery.tellers import registered
from webhook_delivery.testing import Request

FOLDER = BASE_DIR / "docs" / "coming-from"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"^\*\*(Before|Now|Once)\*\*", re.MULTILINE)


@dataclass(frozen=True)
class Scenario:
    """A section in which something is done, before, now, or once; and what is then sent."""

    title: str
    code: dict[str, str]
    sent: tuple[str, str] | None
    """`json`: the bodies; `http`: a request, and the bodies that its receiver gets."""

    @property
    def now(self) -> str:
        return self.code.get("Now", "")

    @property
    def names(self) -> set[str]:
        """What it defines, or names."""
        return set(compile(self.now or self.code.get("Once", ""), self.title, "exec").co_names)


def sections(page: str) -> dict[str, str]:
    _, *rest = re.split(r"^## (.+)\n", (FOLDER / f"{page}.md").read_text(), flags=re.MULTILINE)
    return dict(zip(rest[::2], rest[1::2], strict=True))


def scenarios(page: str) -> list[Scenario]:
    return [scenario(*section) for section in sections(page).items()]


def scenario(title: str, text: str) -> Scenario:
    _, *parts = LABEL.split(text)
    labels = dict(zip(parts[::2], parts[1::2], strict=True))
    blocks = {label: FENCE.findall(part) for label, part in labels.items()}
    code = {label: found[0][1] for label, found in blocks.items() if found}
    sent = [block for found in blocks.values() for block in found if block[0] in ("json", "http")]
    return Scenario(title, code, sent[0] if sent else None)


def lines(code: str) -> int:
    return sum(1 for line in code.splitlines() if line.strip() and not line.strip().startswith("#"))


class Running:
    """A page whose code is run, scenario by scenario, in one namespace."""

    def __init__(self, page: str, user: User) -> None:
        self.page = page
        self.space: dict[str, Any] = {"user": user, "__name__": page}

    def run(self, scenario: Scenario) -> None:
        self.forget(scenario.now)
        exec(compile(scenario.now, f"{self.page}: {scenario.title}", "exec"), self.space)

    def forget(self, code: str) -> None:
        """Who registers a model another time puts it in the place of the first."""
        for name in re.findall(r"^@register\((\w+)\)", code, re.MULTILINE):
            if self.space.get(name) in registered:
                registry.unregister(self.space[name])

    @property
    def tests(self) -> list[Callable[..., None]]:
        return [one for name, one in self.space.items() if name.startswith("test_")]


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def bodies(requests: list[Request]) -> list[Any]:
    """Of each event once."""
    return [comparable(body) for body in {one.webhook_id: one.json() for one in requests}.values()]


def expected(text: str) -> list[Any]:
    return [comparable(json.loads(line)) for line in text.splitlines() if line]


def comparable(body: Any) -> Any:
    """Without the moment, and without the number of a row, which the database chooses."""
    data = body["data"]
    number = {"id": type(data["id"])} if "id" in data else {}
    return {**body, "timestamp": None, "data": {**data, **number}}


def check(sent: tuple[str, str], requests: list[Request]) -> None:
    kind, text = sent
    if kind == "json" or not text.strip():
        assert bodies(requests) == expected(text)
        return
    head, _, body = text.partition("\n\n")
    first, *headers = head.splitlines()
    received = [request for request in requests if first == f"{request.method} {request.url}"]
    assert bodies(received) == expected(body)
    for name, value in (line.split(": ", 1) for line in headers):
        assert {request.headers[name.lower()] for request in received} == {value}


class Serializer:
    """As one of Django REST framework's, seen from us."""

    fields: tuple[str, ...] = ()

    def __init__(self, instance: Any, **options: Any) -> None:
        self.data = {name: getattr(instance, name) for name in self.fields}


def serializer(name: str, *fields: str) -> type[Serializer]:
    return type(name, (Serializer,), {"fields": fields})


MODULES = {
    "bookstore.models": {"Book": models.Volume},
    "bookstore.serializers": {"BookSerializer": serializer("BookSerializer", "title", "pages")},
    "blog.models": {"Article": models.Article, "Tag": models.Tag},
    "core.models": {"Product": models.Product},
    "crm.models": {"Customer": models.Customer},
    "crm.serializers": {"CustomerSerializer": serializer("CustomerSerializer", "id", "email")},
    "drf_hooks.models": {"Hook": predecessors.Hook},
    "django_outbound_webhooks": {"signing_secrets": predecessors.signing_secrets},
    "django_outbound_webhooks.models": {"Endpoint": predecessors.RegisteredEndpoint},
    "django_webhook.models": {"Webhook": predecessors.TopicWebhook},
    "django_webhook_subscriber.models": {"WebhookSubscription": predecessors.WebhookSubscription},
    "signal_webhooks.models": {"Webhook": predecessors.SignalWebhook},
    "thorn.django.models": {"Subscriber": predecessors.Subscriber},
}
"""What pages import."""


def move(page: str) -> dict[str, Any]:
    [script] = [each.code["Once"] for each in scenarios(page) if "Once" in each.code]
    space: dict[str, Any] = {}
    exec(compile(script, page, "exec"), space)
    return space
