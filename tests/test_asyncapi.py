"""The AsyncAPI document is one, by AsyncAPI's own schemas, and true of what is sent."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from jsonschema import Draft7Validator

from example_project.settings import BASE_DIR
from tests.library.models import Everything
from tests.telling import registered
from tests.test_catalogue import described
from tests.test_deriving import FIELDS
from webhook_delivery.fitting import misfits_of

pytestmark = pytest.mark.everywhere_once

OFFICIAL = BASE_DIR / ".node/node_modules/@asyncapi/specs/schemas/3.0.0.json"

LINE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/line"}, "all": {"$ref": "#"}}}
BILL = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://shop.example/bill",
    "$defs": {"line": LINE},
    "type": "object",
    "properties": {
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "$ref": {"type": "string"},
    },
    "examples": [[1]],
}


def document(*options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("webhooks", "catalogue", "--format", "asyncapi", *options, stdout=out)
    return json.loads(out.getvalue())


def part(whole: dict[str, Any], reference: str) -> Any:
    """What a reference within the document is to."""
    assert reference.startswith("#/")
    found: Any = whole
    for word in reference[2:].split("/"):
        found = found[word]
    return found


def references(value: Any) -> list[str]:
    inner = list(value.values() if isinstance(value, dict) else value)
    own = [value["$ref"]] if isinstance(value, dict) and isinstance(value.get("$ref"), str) else []
    return own + [each for one in inner if isinstance(one, dict | list) for each in references(one)]


def faults(whole: dict[str, Any]) -> list[str]:
    official = json.loads(OFFICIAL.read_text())
    found = Draft7Validator(official, format_checker=Draft7Validator.FORMAT_CHECKER)
    return [f"{each.json_path}: {each.message}" for each in found.iter_errors(whole)]


def test_it_is_a_document_by_asyncapis_own_schema():
    with (
        registered(Everything, created="everything.created", fields=FIELDS),
        described("bill.sent", "A bill.", schema=BILL, example={"lines": []}, deprecated="No."),
        described("bill.paid"),
    ):
        whole = document()

    assert faults(whole) == []
    assert faults({**whole, "channels": {"x": {"address": 7}}}) != []
    assert "everything.created" in whole["channels"]


def test_every_reference_is_to_something_in_it():
    with described("bill.sent", schema=BILL):
        whole = document()

    found = references(whole)
    assert {part(whole, each) is not None for each in found} == {True}
    assert "#/components/schemas/bill.sent/$defs/line" in found
    assert "#/components/schemas/bill.sent" in found
    moved = whole["components"]["schemas"]["bill.sent"]
    assert "$id" not in moved and "$schema" not in moved
    assert moved["properties"]["$ref"] == {"type": "string"}


def test_each_type_is_a_channel_that_we_send_to():
    whole = document("--type", "order.*", "--title", "The shop", "--release", "2.1.0")

    assert whole["info"] == {"title": "The shop", "version": "2.1.0"}
    assert list(whole["channels"]) == [
        "order.created",
        "order.deleted",
        "order.paid",
        "order.shipped",
        "order.updated",
    ]
    sending = whole["operations"]["send.order.created"]
    assert sending["action"] == "send"
    assert part(whole, sending["channel"]["$ref"])["address"] is None


def test_its_examples_fit_its_own_schemas():
    whole = document("--type", "order.*")
    headers = whole["components"]["messageTraits"]["signed"]["headers"]
    for name, message in whole["components"]["messages"].items():
        [sent] = message["examples"]
        data = {**whole["components"]["schemas"][name]}
        envelope = message["payload"]
        inlined = {**envelope, "properties": {**envelope["properties"], "data": data}}

        assert misfits_of(inlined, sent["payload"]) == []
        assert misfits_of(headers, sent["headers"]) == []
        assert misfits_of(inlined, {**sent["payload"], "type": "another"}) != []


def test_what_is_deprecated_says_so():
    with described("bill.sent", "A bill.", deprecated="Use bill.paid.", schema={"const": 1}):
        message = document("--type", "bill.sent")["components"]["messages"]["bill.sent"]

    assert message["description"] == "A bill.\n\nDeprecated: Use bill.paid."
    assert message["payload"]["deprecated"] is True
    assert "examples" not in message


def test_its_headers_are_named_as_ours_are(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "HEADER_PREFIX": "shop-"}
    headers = document()["components"]["messageTraits"]["signed"]["headers"]

    assert headers["required"] == ["shop-id", "shop-timestamp", "shop-signature"]


def test_what_has_no_schema_may_be_anything():
    with described("bill.sent"):
        whole = document("--type", "bill.sent")

    payload = whole["components"]["messages"]["bill.sent"]["payload"]
    assert payload["properties"]["data"] == {}
    assert whole["components"]["schemas"] == {}
