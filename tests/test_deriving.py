"""What is derived from model fields is true of what is sent of them, whatever the rows hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import models, transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import from_field

from tests.conftest import make_endpoint
from tests.library.models import Book, Everything, Parcel, Tag, Ticket
from tests.telling import registered, told
from webhook_delivery import fitting
from webhook_delivery.deriving import form_of
from webhook_delivery.shaping import fields_sent

FIELDS = [field.name for field in Everything._meta.concrete_fields] + ["tags"]

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=100)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
OWN = {
    "away": st.timedeltas(timedelta(days=-999), timedelta(days=999)),
    "born": st.dates(date(1, 1, 1)),
    "document": st.sampled_from(["", "a/b.pdf", "größe.txt"]),
    "likely": st.floats(-1e9, 1e9),
    "moment": st.integers(0, 2**34).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    "notes": trees.filter(lambda tree: tree is not None),
    "price": st.sampled_from([1, 2.5]),
    "ring": st.times(),
    "token": st.uuids(version=4),
    "text": texts,
}
"""Of fields that have any value in Python, but not in every database; others are hypothesis's."""
UNSET = {"id", "parcel", "rate", "tags", *OWN}

values = st.fixed_dictionaries(
    {name: from_field(Everything._meta.get_field(name)) for name in FIELDS if name not in UNSET}
    | OWN
)

ODD: dict[str, Any] = {
    "agreed": None,
    "amount": "-999999.99",
    "amount_owed": "0",
    "atoms": "0",
    "away": timedelta(days=-1, milliseconds=5),
    "big": -(2**60),
    "born": date(1, 2, 3),
    "code": "",
    "colour": "",
    "contact": "ann@bücher.example",
    "contact_too": "",
    "counted": 0,
    "document": None,
    "home": "https://bücher.example/ä?{}",
    "host": "2001:db8::7",
    "host_4": None,
    "level": None,
    "likely": 0.1,
    "moment": datetime(2026, 11, 21, 14, 2, tzinfo=UTC),
    "notes": {},
    "price": 2.5,
    "ring": "07:00",
    "small": 0,
    "text": "",
}


@contextmanager
def undone() -> Iterator[None]:
    """One example of many leaves nothing to the next."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def telling(db):
    """All that there is to say of everything is said, and somebody hears it."""
    make_endpoint()
    types = {"created": "everything.created", "updated": "everything.updated"}
    with registered(Everything, **types, fields=FIELDS):
        yield


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(fields=values, tags=st.integers(0, 2))
@example(fields=ODD, tags=1)
def test_whatever_is_sent_of_a_row_fits_what_is_derived(telling, fields, tags):
    with undone():
        row = Everything.objects.create(**fields, parcel=Parcel.objects.create() if tags else None)
        row.tags.set(Tag.objects.create(name="t") for _ in range(tags))
        Everything.objects.filter(pk=row.pk).update(small=9)  # is read again, from the database

        said = [(kind, str(each)) for kind, data in told() for each in fitting.misfits(kind, data)]
        types = [kind for kind, _ in told()]

    assert said == []
    assert types == ["everything.created", *["everything.updated"] * (1 + bool(tags))]


def test_the_example_fits_what_is_derived():
    fields = fields_sent(Everything, FIELDS, ())
    schema, example = form_of(fields)

    assert fitting.flaw_of(schema) == ""
    assert fitting.misfits_of(schema, example) == []
    assert list(example) == schema["required"] == FIELDS
    assert form_of(fields).example == example


def derived(*names: str, model: type[models.Model] = Everything) -> dict[str, Any]:
    return form_of(fields_sent(model, names, ())).schema["properties"]


def test_each_field_says_what_it_may_be():
    assert derived("agreed", "amount", "born", "counted", "token") == {
        "agreed": {"type": ["boolean", "null"]},
        "amount": {"type": "string", "pattern": r"^-?[0-9]{1,6}\.[0-9]{2}$"},
        "born": {"type": "string", "format": "date"},
        "counted": {"type": "integer", "minimum": 0},
        "token": {"type": "string", "format": "uuid"},
    }


def test_choices_are_all_that_there_may_be():
    assert derived("colour", "level", "price") == {
        "colour": {"type": "string", "enum": ["red", "blue", ""]},
        "level": {"type": ["integer", "null"], "enum": [1, 9, None]},
        "price": {"type": "string", "enum": ["1.0", "2.5"]},
    }


def test_what_may_be_empty_need_not_look_like_anything():
    assert derived("contact", "contact_too", "code") == {
        "contact": {"type": "string", "maxLength": 254, "format": "email"},
        "contact_too": {
            "type": ["string", "null"],
            "maxLength": 254,
            "anyOf": [{"format": "email"}, {"const": ""}],
            "description": "second contact",
        },
        "code": {
            "type": "string",
            "maxLength": 50,
            "anyOf": [{"pattern": "^[-a-zA-Z0-9_]+$"}, {"const": ""}],
        },
    }


def test_addresses_are_of_the_versions_that_are_allowed():
    assert derived("host", "host_4") == {
        "host": {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        "host_4": {"type": ["string", "null"], "anyOf": [{"format": "ipv4"}, {"const": ""}]},
    }


def test_a_key_is_what_it_points_to_and_many_are_a_list_of_them():
    assert derived("parcel", "tags") == {
        "parcel": {"type": ["string", "null"], "format": "uuid"},
        "tags": {"type": "array", "items": {"type": "integer"}},
    }
    assert derived("author", model=Book) == {"author": {"type": ["integer", "null"]}}


def test_what_its_people_say_of_a_field_is_said():
    assert derived("away")["away"]["description"] == "How long | it took."
    assert "description" not in derived("amount_owed")["amount_owed"]


def bound(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    field.set_attributes_from_name("it")
    return field


def property_of(field: models.Field[Any, Any]) -> dict[str, Any]:
    return form_of([bound(field)]).schema["properties"]["it"]


class Shouting(models.CharField):
    """A field whose values are of somebody's own making."""

    def to_python(self, value):
        return {"shouted": value}


class Named(models.CharField):
    """A field that only has another name."""


def test_of_values_of_somebodys_own_making_nothing_is_known():
    assert property_of(Shouting(max_length=5, null=True)) == {}
    assert property_of(models.Field()) == {}
    assert property_of(Named(max_length=5)) == {"type": "string", "maxLength": 5}


def test_choices_that_a_function_makes_may_be_others_tomorrow():
    made = models.IntegerField(choices=lambda: [(1, "one")])

    assert property_of(made) == {"type": "integer"}


def test_an_array_is_of_what_is_in_it():
    pytest.importorskip("psycopg")
    from django.contrib.postgres.fields import ArrayField

    array = ArrayField(models.DecimalField(max_digits=2, decimal_places=0), null=True)

    assert property_of(array) == {
        "type": ["array", "null"],
        "items": {"type": "string", "pattern": "^-?[0-9]{1,2}$"},
    }


def test_a_decimal_that_may_have_any_number_of_digits_is_any_decimal():
    any_decimal = r"^-?[0-9]+(\.[0-9]+)?(E[+-][0-9]+)?$"

    assert property_of(models.DecimalField()) == {"type": "string", "pattern": any_decimal}
    assert derived("rate")["rate"] == {"type": ["string", "null"], "pattern": any_decimal}


def test_a_file_that_is_not_there_has_an_empty_name():
    assert derived("document") == {"document": {"type": "string"}}


def test_a_text_that_may_be_long_may_be_long():
    assert property_of(models.TextField(blank=True)) == {"type": "string"}


def test_an_empty_choice_is_not_there_twice():
    sizes = models.CharField(max_length=1, blank=True, choices=[("", "none"), ("s", "small")])

    assert property_of(sizes) == {"type": "string", "enum": ["", "s"]}


def test_a_default_is_an_example_unless_it_is_computed():
    fields = [
        models.IntegerField(default=3, name="n"),
        models.CharField(default=uuid.uuid4, max_length=3, name="a_code"),
        models.DecimalField(default=2, max_digits=3, decimal_places=1, name="d"),
        models.JSONField(default=list, name="j"),
        models.SlugField(name="a_slug", allow_unicode=True),
        models.GenericIPAddressField(protocol="IPv6", name="six"),
    ]
    for each in fields:
        each.set_attributes_from_name(each.name)

    assert form_of(fields).example == {
        "n": 3,
        "a_code": "a_c",
        "d": "2.0",
        "j": [],
        "a_slug": "a-slug",
        "six": "2001:db8::1",
    }


def test_tickets_are_fit_too(db):
    make_endpoint()
    with registered(Ticket, created="ticket.created", fields="__all__"):
        Ticket.objects.create(title="t" * 50)
        [(kind, data)] = told()

        assert fitting.misfits(kind, data) == []
        assert [str(each) for each in fitting.misfits(kind, {**data, "title": "t" * 51})] == [
            "data.title is longer than 50"
        ]
