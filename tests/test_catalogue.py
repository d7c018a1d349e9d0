"""The catalogue: what registered models tell, and what else was described, in one list."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from tests.library.models import Book, Parcel, Ticket
from tests.telling import registered
from webhook_delivery import ModelWebhooks, describe, register, registry, verify
from webhook_delivery.catalogue import Entry, entries, entry_of, forget
from webhook_delivery.presenting import SECRET, as_markdown, type_of

pytestmark = pytest.mark.everywhere_once


@contextmanager
def described(event_type: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    describe(event_type, *args, **kwargs)
    try:
        yield
    finally:
        forget(event_type)


def catalogue(*options: str) -> str:
    out = io.StringIO()
    call_command("webhooks", "catalogue", *options, stdout=out)
    return out.getvalue()


def types(pattern: str = "*") -> list[str]:
    return [entry.event_type for entry in entries(pattern)]


def test_all_types_are_one_sorted_list():
    assert types() == sorted(types())
    assert {"order.created", "order.shipped", "product.archived", "webhook.test"} <= set(types())


def test_a_pattern_chooses_some():
    with described("orders.counted"):
        assert types("order.*") == [one for one in types() if one.startswith("order.")]
        assert len(types("order.*")) == 5
        assert types("orders.*") == ["orders.counted"]
    assert types("webhook.test") == ["webhook.test"]


def test_what_is_described_is_in_it():
    schema = {"type": "object"}
    with described("bill.sent", "A bill.", example={"n": 7}, schema=schema, deprecated="No more."):
        assert entry_of("bill.sent") == Entry("bill.sent", "A bill.", {"n": 7}, schema, "No more.")
    assert entry_of("bill.sent") is None


def test_what_is_described_takes_the_place_of_what_is_derived():
    derived = entry_of("order.created")
    with described("order.created", example={"number": 8}, deprecated="Use order.placed."):
        entry = entry_of("order.created")

    assert entry.example == {"number": 8}
    assert entry.deprecated == "Use order.placed."
    assert entry.description == derived.description == "A customer has placed an order."
    assert entry.schema == derived.schema
    assert list(entry.schema["properties"]) == ["number", "status", "total"]


def test_a_falsy_example_is_one():
    with described("order.created", example=0):
        assert entry_of("order.created").example == 0


def test_who_says_nothing_is_told_of_in_plain_words():
    types = {"created": "ticket.created", "updated": "ticket.updated", "deleted": "ticket.deleted"}
    transitions = {"ticket.closed": {"status": "closed"}}
    with registered(Ticket, **types, transitions=transitions, fields=["title"]):
        said = {entry.event_type: entry.description for entry in entries("ticket.*")}

    assert said == {
        "ticket.closed": "Ticket changed.",
        "ticket.created": "Ticket created.",
        "ticket.deleted": "Ticket deleted.",
        "ticket.updated": "Ticket updated.",
    }


class TicketWebhooks(ModelWebhooks):
    """
    What happens to
    tickets.

    And this is for the people of the house.
    """

    created, updated = "ticket.created", "ticket.updated"
    descriptions = {"ticket.created": "A ticket was opened."}

    def payload(self, ticket):
        return {"id": ticket.pk}


@pytest.fixture
def tickets():
    register(Ticket)(TicketWebhooks)
    yield
    registry.unregister(Ticket)


def test_the_class_says_what_its_types_mean(tickets):
    assert entry_of("ticket.created").description == "A ticket was opened."
    assert entry_of("ticket.updated").description == "What happens to tickets."


def test_of_a_payload_made_by_hand_nothing_is_derived(tickets):
    assert entry_of("ticket.created").schema is None
    assert entry_of("ticket.created").example is None

    with described("ticket.created", schema={"type": "object"}):
        assert entry_of("ticket.created").schema == {"type": "object"}
        assert entry_of("ticket.created").description == "A ticket was opened."


def test_a_description_of_what_is_not_told_is_refused():
    with (
        pytest.raises(ImproperlyConfigured, match=r"it does not tell 'ticket\.sent'"),
        registered(Ticket, created="t.made", fields=["title"], descriptions={"ticket.sent": ""}),
    ):
        pass


def test_what_several_models_tell_is_that_of_any():
    with (
        registered(Ticket, created="thing.created", updated="thing.updated", fields=["title"]),
        registered(Book, created="thing.created", updated="thing.updated", fields=["title"]),
    ):
        same = entry_of("thing.created").schema
    with (
        registered(Ticket, created="thing.created", fields=["title"]),
        registered(Book, created="thing.created", fields=["price"]),
        registered(Parcel, created="thing.created", fields=["weight"]),
        described("thing.created", "Some thing."),
    ):
        several = entry_of("thing.created").schema
        [listed] = entries("thing.*")
    with (
        registered(Ticket, created="thing.created", fields=["title"]),
        registered(Book, created="thing.created", payload=lambda self, book: None),
    ):
        unknown = entry_of("thing.created").schema

    assert list(same["properties"]) == ["title"]
    assert [list(each["properties"]) for each in several["anyOf"]] == [
        ["title"],
        ["price"],
        ["weight"],
    ]
    assert listed.schema == several
    assert unknown is None


def test_as_json_it_is_a_list_for_programs():
    listed = json.loads(catalogue("--format", "json", "--type", "order.*"))

    assert [each["type"] for each in listed] == types("order.*")
    assert listed[0]["example"] == {"number": 1, "status": "new", "total": "1.00"}
    assert set(listed[0]) == {"type", "description", "example", "schema", "deprecated"}
    assert catalogue("--json") == catalogue("--format", "json")


def test_as_markdown_it_is_a_page_for_developers():
    page = catalogue("--title", "What the shop tells")

    assert page.startswith("# What the shop tells\n")
    assert "- [`order.created`](#ordercreated)\n" in page
    assert '| `status` | one of `"new"`, `"paid"`, `"shipped"` |  |' in page
    assert "| `number` | integer | The order's number. |" in page
    assert "| `parcel` | string, may be missing | What the carrier calls it. |" in page


def test_the_examples_of_the_page_are_what_is_really_sent():
    [request] = re.findall(r"```http\n(.*?)\n```", catalogue("--type", "order.shipped"), re.DOTALL)
    head, _, body = request.partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])

    verify(body.encode(), headers, SECRET, now=int(headers["webhook-timestamp"]))
    assert json.loads(body)["data"] == {"number": 7, "parcel": "P1"}
    assert headers["content-type"] == "application/json"


def test_a_page_shows_what_is_inside_and_what_is_old():
    lines = {"type": "array", "items": {"properties": {"sku": {"type": "string", "maxLength": 9}}}}
    place = {"type": "object", "properties": {"zip": {"description": "As it\nis | read."}}}
    fields = {"lines": lines, "place": place, "odd": True}
    schema = {"properties": fields, "required": ["lines", "place"]}
    page = as_markdown([Entry("bill.sent", "", None, schema, "No more.")], title="Bills")

    assert "> **Deprecated:** No more." in page
    assert "| `lines` | array of anything |  |" in page
    assert "| `lines[].sku` | string, at most 9 characters, may be missing |  |" in page
    assert "| `place.zip` | anything, may be missing | As it is \\| read. |" in page
    assert "`odd`" not in page and "```http" not in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": ["string", "null"], "format": "date"}, "string (date) or null"),
        ({"const": 7}, "`7`"),
        ({"$ref": "#/$defs/address"}, "address"),
        ({"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/a"}]}, "integer or a"),
        ({"oneOf": [{"type": "null"}, True]}, "null or anything"),
        ({}, "anything"),
    ],
)
def test_a_type_is_said_in_words(schema, words):
    assert type_of(schema) == words


def test_a_type_that_there_is_not_is_no_page():
    with pytest.raises(CommandError, match=re.escape("no event type 'invoice.*'")):
        catalogue("--type", "invoice.*")
