"""What does not fit the catalogue is refused at publish, if asked; tests and checks find it."""

from __future__ import annotations

import io
import sys
import unittest
import urllib.request
from decimal import Decimal

import pytest
from django.core.checks import run_checks
from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from example_project.shop.models import Order
from tests.conftest import make_endpoint
from tests.library.models import Ticket
from tests.telling import registered, types_told
from tests.test_catalogue import described
from webhook_delivery import InvalidEvent, NewEvent, fitting, publish, publish_many
from webhook_delivery.fitting import SchemaLibraryMissing, flaw_of, misfits, misfits_of
from webhook_delivery.models import Event
from webhook_delivery.publishing import publish_test
from webhook_delivery.testing import Webhooks, WebhooksMixin


@pytest.fixture
def validating(settings):
    def by(rule: str | None) -> None:
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "VALIDATE_EVENTS": rule}

    by("schema")
    return by


@pytest.fixture
def without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    monkeypatch.setattr(fitting, "find_spec", lambda name: None)


def test_what_does_not_fit_is_refused_before_any_statement(db, validating):
    with CaptureQueriesContext(connection) as queries, pytest.raises(InvalidEvent) as refused:
        publish("order.shipped", {"number": "s3cret", "parcel": 7})

    assert str(refused.value) == (
        "'order.shipped' does not fit its schema: data.number must be of type integer, and 1 more."
    )
    assert len(queries) == 0


def test_what_fits_is_published(db, validating):
    publish("order.shipped", {"number": 7, "at": timezone.now()})
    publish("order.created", {"number": 7, "status": "new", "total": Decimal("19.90")})

    assert types_told() == ["order.shipped", "order.created"]


def test_nothing_is_looked_at_unless_asked(db, validating, without_the_library):
    validating(None)
    publish("order.shipped", {"number": "seven"})

    assert types_told() == ["order.shipped"]


def test_types_without_a_schema_pass(db, validating):
    with described("bill.sent"):
        publish("bill.sent", 7)
    publish("anything.else", 7)

    assert types_told() == ["bill.sent", "anything.else"]


def test_types_that_are_not_in_the_catalogue_are_refused_if_asked(db, validating):
    validating("catalogue")
    with described("bill.sent"):
        publish("bill.sent", 7)
    publish_test(make_endpoint())
    with pytest.raises(InvalidEvent, match=r"'anything\.else' is not in the catalogue"):
        publish("anything.else", 7)
    with pytest.raises(InvalidEvent, match=r"'anything\.else' is not in the catalogue"):
        publish("anything.else", b"7")
    with pytest.raises(InvalidEvent, match=r"data\.number must be of type integer"):
        publish("order.shipped", {"number": "seven"})

    assert types_told()[0] == "bill.sent" and Event.objects.count() == 2


def test_bytes_of_somebodys_own_are_not_looked_into(db, validating):
    publish("order.shipped", b"{}")

    assert Event.objects.count() == 1


def test_of_many_one_that_does_not_fit_stops_all(db, validating):
    events = [NewEvent("order.shipped", {"number": n}) for n in (1, "two")]
    with pytest.raises(InvalidEvent, match=r"data\.number"):
        publish_many(events)

    assert Event.objects.count() == 0


def test_a_save_whose_payload_does_not_fit_saves_nothing(db, validating):
    make_endpoint()
    with pytest.raises(InvalidEvent, match=r"data\.status must be one of"), transaction.atomic():
        Order.objects.create(number=7, status="odd", total=1)

    assert not Order.objects.exists()


def test_a_changed_catalogue_is_looked_at_anew(db, validating):
    publish("bill.sent", {"n": 1})
    with (
        described("bill.sent", schema={"required": ["total"]}),
        pytest.raises(InvalidEvent, match="data lacks total"),
    ):
        publish("bill.sent", {"n": 1})
    publish("bill.sent", {"n": 1})
    with registered(Ticket, created="bill.sent", fields=["title"]), pytest.raises(InvalidEvent):
        publish("bill.sent", {"n": 1})


def test_schemas_are_compiled_once(db, validating):
    publish("order.shipped", {"number": 1})
    before = fitting._validator.cache_info().misses
    publish("order.shipped", {"number": 2})

    assert fitting._validator.cache_info().misses == before


def test_without_the_library_it_says_what_to_install(db, validating, without_the_library):
    missing = pytest.raises(SchemaLibraryMissing, match=r"pip install .*\[schema\]")
    with described("bill.sent", schema={}), missing:
        publish("bill.sent", {"number": 1})


def test_who_looks_at_a_schema_is_told_what_to_install_too(without_the_library):
    with pytest.raises(SchemaLibraryMissing):
        flaw_of({})
    with pytest.raises(SchemaLibraryMissing):
        misfits_of({}, 7)


@pytest.mark.parametrize(
    ("schema", "data", "said"),
    [
        ({"format": "date-time"}, "2026-11-21", "data is no date-time"),
        ({"format": "uri"}, "not one", "data is no uri"),
        ({"maxLength": 3}, "s3cret", "data is longer than 3"),
        ({"pattern": "^a"}, "s3cret", "data must match ^a"),
        ({"const": 1}, "s3cret", "data must be 1"),
        ({"minimum": 3}, 2, "data breaks “minimum”: 3"),
        ({"anyOf": [{"type": "null"}]}, "s3cret", "data fits none of the schemas that it might"),
        (
            {"items": {"properties": {"a": False}}},
            [{"a": 1}],
            "data[0] holds what may not be there",
        ),
        (
            {"additionalProperties": False},
            {"a": 1},
            "data has more properties than the schema names",
        ),
        ({"enum": ["a" * 500]}, "b", "data must be one of ['" + "a" * (fitting.SHOWN - 2)),
        ({"$ref": "#/$defs/none"}, 1, "data cannot be checked: its schema lacks /$defs/none"),
        (
            {"$ref": "https://example.com/s.json"},
            1,
            "data cannot be checked: its schema lacks https://example.com/s.json",
        ),
    ],
)
def test_it_says_where_and_why_and_never_what(schema, data, said):
    assert [str(each) for each in misfits_of(schema, data)] == [said]


def test_nothing_is_fetched_from_a_network(monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(urllib.request, "urlopen", asked.append)

    assert misfits_of({"$ref": "https://example.com/s.json"}, 1) != []
    assert flaw_of({"$ref": "https://example.com/s.json"}) != ""
    assert asked == []


def test_each_dialect_is_read_as_its_own():
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}

    assert misfits_of({"prefixItems": [{"type": "null"}]}, [1]) != []
    assert misfits_of(draft7, [1]) != []
    assert misfits_of(draft7, [None, 1]) == []


def test_what_is_in_no_catalogue_fits():
    assert misfits("no.such", object()) == []


@pytest.mark.parametrize(
    ("schema", "flaw"),
    [
        ({"type": "strnig"}, "$.type: 'strnig' is not valid"),
        ({"pattern": "("}, "$.pattern: '(' is not a 'regex'"),
        ({"items": {"$ref": "#/$defs/line"}}, "it refers to #/$defs/line, which is not in it"),
        ([], "it is no object"),
        ({"$defs": {"a": {"type": "null"}}, "items": {"$ref": "#/$defs/a"}}, ""),
        ({"$id": "https://example.com/", "items": {"$ref": "other"}}, ""),
        ({}, ""),
    ],
)
def test_a_schema_that_is_none_is_found(schema, flaw):
    assert flaw_of(schema).startswith(flaw) and bool(flaw_of(schema)) == bool(flaw)


def found() -> dict[str, str]:
    return {m.id: f"{m.msg} {m.hint}" for m in run_checks(tags=["webhook_delivery"])}


def test_what_is_described_wrongly_is_said_at_start_up():
    with described("bill.sent", schema={"type": "strnig"}):
        said = found()["webhook_delivery.E020"]
        assert said.startswith("The schema of 'bill.sent' is none: $.type: 'strnig'")
    with described("bill.sent", example={}, schema={"required": ["n"]}):
        assert (
            "'bill.sent' does not fit its schema: data lacks n." in found()["webhook_delivery.E021"]
        )
    with described("bill.sent", example={"n": object()}, schema={}):
        assert "is not JSON serializable" in found()["webhook_delivery.E021"]
    with described("bill sent"):
        assert "'bill sent' is described, and is no event" in found()["webhook_delivery.E022"]
    with described("bill.sent"), described("bill.sent"):
        assert "'bill.sent' is described more than once" in found()["webhook_delivery.W020"]
    with described("bill.sent", example={"on": timezone.now()}, schema={"required": ["on"]}):
        assert not set(found()) & {"webhook_delivery.E021"}


def test_a_setting_that_cannot_be_is_refused(validating):
    validating("always")

    assert '"schema", "catalogue" or None' in found()["webhook_delivery.E009"]


def test_a_setting_that_needs_the_library_is_refused_without_it(validating, without_the_library):
    assert "webhook_delivery.E023" in found()
    validating(None)
    assert "webhook_delivery.E023" not in found()


def test_a_test_that_publishes_what_does_not_fit_fails(db):
    with pytest.raises(AssertionError) as failed, Webhooks():
        publish("order.shipped", {"number": "seven"})

    assert str(failed.value).startswith(
        "order.shipped does not fit its schema in the catalogue:\n"
        '  data.number must be of type integer; it is "seven"\n'
        "\n"
        'Published: order.shipped {"type":"order.shipped",'
    )


def test_it_need_not(db, without_the_library):
    with Webhooks():
        publish("order.shipped", {"number": "seven"})


def test_it_need_not_if_it_says_so(db):
    with Webhooks(validate=False):
        publish("order.shipped", {"number": "seven"})


def test_what_has_no_envelope_is_not_looked_into(db):
    with Webhooks():
        publish("order.shipped", b"{}")
        publish("order.shipped", b"not json", content_type="text/plain")


def test_another_failure_is_not_hidden_by_this_one(db):
    with pytest.raises(ZeroDivisionError), Webhooks():
        publish("order.shipped", {"number": "seven"})
        raise ZeroDivisionError


def cases(*, validate: bool) -> type[TestCase]:
    """Made here, for pytest would run it."""

    class Odd(WebhooksMixin, TestCase):
        validate_webhooks = validate

        def test_it(self):
            publish("order.shipped", {"number": "seven"})

        def test_in_a_broken_transaction(self):
            publish("order.shipped", {"number": "seven"})
            transaction.set_rollback(True)

    return Odd


@pytest.mark.parametrize(("validate", "failures"), [(True, 1), (False, 0)])
def test_a_test_case_fails_itself_and_not_the_run(db, validate, failures):
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(cases(validate=validate))
    result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)

    assert (len(result.failures), result.errors, result.testsRun) == (failures, [], 2)
