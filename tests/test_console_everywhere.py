"""What holds on every screen of the console, whichever there are: cost, safety, and links."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.screens import Address, addresses, own_addresses
from tests.screens.past import write_past
from webhook_delivery.admin.base import ConsoleAdmin
from webhook_delivery.models import Endpoint, Subscription

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def ours() -> list[type[Model]]:
    models_of_ours = apps.get_app_config("webhook_delivery").get_models()
    return [model for model in models_of_ours if not model._meta.proxy]


def pages(client: Client) -> Iterator[tuple[Address, HttpResponse]]:
    """All that can be looked at, with how they look."""
    for address in addresses():
        answer = client.get(address.url_of(), follow=True)
        if answer.status_code in (403, 405):
            continue
        assert answer.status_code == 200, address
        if "html" in answer["Content-Type"]:
            yield address, answer


# ── cost

BIG = ["attempt", "delivery", "event", "transition", "consoleaction", "searchkey"]
"""Those of which there may be millions; of endpoints, with their hours, there are thousands."""
FROM_BIG = re.compile(r"\b(?:FROM|JOIN) [`\"]webhook_delivery_(?:" + "|".join(BIG) + r")[`\"]")
KEYED = re.compile(r"WHERE .*[`\"](?:id|event_id|delivery_id|batch_id)[`\"] (?:=|IN) ")
"""Read by numbers that are in the statement: it finds what belongs to these."""
GROUPED = re.compile(r"WHERE .*[`\"]endpoint_id[`\"] = .* GROUP BY ")
"""One group of dead letters, counted by the index that is made for that."""


def is_bounded(sql: str) -> bool:
    reads = sql.startswith("SELECT") and FROM_BIG.search(sql)
    return not reads or " LIMIT " in sql or bool(KEYED.search(sql) or GROUPED.search(sql))


def what_pages_say(client: Client) -> dict[str, list[str]]:
    """What is said to the database for each page."""
    said = {}
    for address, _known in list(pages(client)):  # so content types are remembered
        with CaptureQueriesContext(connection) as captured:
            client.get(address.url_of())
        said[address.name] = [query["sql"] for query in captured]
    return said


def test_a_page_costs_no_more_for_two_hundred_rows_than_for_one(root, monkeypatch):
    monkeypatch.setattr(ConsoleAdmin, "list_per_page", 5)
    write_past(1)
    few = what_pages_say(root)
    write_past(200)
    many = what_pages_say(root)

    dearer = {name: many[name] for name in few if len(many[name]) > len(few[name])}
    assert dearer == {}
    endless = {name: [sql for sql in said if not is_bounded(sql)] for name, said in many.items()}
    assert {name: said for name, said in endless.items() if said} == {}


def test_every_page_opens_with_more_endpoints_than_postgresql_has_columns_for(root):
    write_past(1)
    Endpoint.objects.bulk_create(
        Endpoint(name=f"customer-{n}", url="https://receiver.example/") for n in range(1700)
    )

    for address, _answer in list(pages(root)):
        where = address.url_of()
        facets = root.get(f"{where}{'&' if '?' in where else '?'}_facets=True", follow=True)
        assert facets.status_code == 200, address


def test_an_empty_install_has_every_page_that_is_not_about_one_row(root):
    for address in addresses():
        if address.name.endswith("_changelist"):
            assert root.get(address.url()).status_code == 200, address
        elif not address.of_one:
            assert root.get(address.url()).status_code in (200, 403, 404, 405), address


def test_a_page_about_nothing_is_not_found(root):
    about_one = [address for address in own_addresses() if address.of_one]
    found = {
        address.name: {root.get(url).status_code, root.post(url).status_code}
        for address in about_one
        if (
            url := address.url(
                "00000000-0000-7000-8000-000000000000"[:36] if "event" in address.name else 999_999
            )
        )
    }

    assert {name: codes for name, codes in found.items() if not codes <= {404, 405}} == {}


# ── what strangers wrote

HOSTILE = "\"'><x-hostile onx=1>"
"""Twenty characters, so that it fits wherever a text does."""
LONG = f"</title></textarea></pre></script>{HOSTILE}\u202egnp.exe"
KEPT = {"idempotency_key", "state", "trigger", "verdict", "kind", "format", "tls_minimum", "verb"}
"""Texts of which only we write a few, or none twice."""
UNIQUE = {"SearchKey", "Acknowledgement", "Subscription"}


class Tags(HTMLParser):
    """The tags of a page, with all their attributes, and where its links lead."""

    def __init__(self, page: HttpResponse) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page.content.decode())

    def handle_starttag(self, tag: str, attributes) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag == "a":
            self.links += [value for name, value in attributes if name == "href" and value]

    def of(self, *names: str) -> list[str]:
        return [value for name, value in self.attributes if name in names]


def poison() -> None:
    """Let every text that a person or a receiver wrote be hostile."""
    for model in ours():
        texts = [
            each
            for each in model._meta.concrete_fields
            if isinstance(each, (models.CharField, models.TextField)) and each.name not in KEPT
        ]
        if texts and model.__name__ not in UNIQUE:
            model._default_manager.update(**{each.name: fitting(each) for each in texts})
    last = Subscription.objects.latest("pk")
    Subscription.objects.filter(pk=last.pk).update(pattern=LONG)
    Endpoint.objects.update(url=f"javascript:alert(1)//{HOSTILE}")


def fitting(text: models.Field) -> str:
    return LONG if len(LONG) <= (text.max_length or 10_000) else HOSTILE[: text.max_length]


def test_hostile_texts_do_nothing_on_any_page(root):
    write_past(3)
    places = [(address, address.url_of()) for address, _page in pages(root)]
    poison()

    for address, where in places:
        answer = root.get(where, follow=True)
        found = Tags(answer)
        assert answer.status_code in (200, 404), address
        assert "x-hostile" not in found.names, address
        assert [name for name, _value in found.attributes if name.startswith("onx")] == [], address
        leads = [value.strip().lower() for value in found.of("href", "src", "action")]
        assert [where for where in leads if where.startswith("javascript:")] == [], address


# ── numbers and links

FIRST = 1_234_567


def test_every_link_leads_somewhere_however_numbers_are_written(root, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    write_past(3, first=FIRST)
    links: dict[str, str] = {}
    for address, answer in pages(root):
        found = Tags(answer)
        named = found.of("href", "action", "value", "id", "for", "data-webhook-copy")
        assert [value for value in named if re.search(r"\d,\d{3}", value)] == [], address
        links |= {urljoin(address.url_of(), link): address.name for link in found.links}

    for link, where in links.items():
        if urlsplit(link).path.startswith("/admin/webhook_delivery/"):
            assert root.get(link, follow=True).status_code == 200, (link, where)
