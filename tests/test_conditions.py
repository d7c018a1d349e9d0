"""Conditions on a body: what holds, what is refused, and who is sent what because of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.test_admin import client_of, url
from webhook_delivery import NewEvent, batches, missing, publish, publish_many, pump, writing
from webhook_delivery.conditions import CHOICES, LONGEST, MOST, flaw_of, matches, told_in
from webhook_delivery.models import Delivery, Endpoint, Event, RedeliveryBatch, Subscription
from webhook_delivery.models.fields import validate_conditions
from webhook_delivery.publishing import publish_test

DB = "default"
BODY = json.dumps(
    {
        "type": "order.paid",
        "data": {
            "status": "paid",
            "total": "19.90",
            "number": 7,
            "weight": 2.50,
            "gift": True,
            "note": None,
            "at": "2026-11-21T14:02:11Z",
            "lines": [{"sku": "A7"}, {"sku": "B8"}],
            "7": "a name",
        },
    }
).encode()


@pytest.mark.everywhere_once
@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"type": "order.paid"},
        {"data.status": "paid"},
        {"data.number": 7},
        {"data.number": 7.0},
        {"data.weight": 2.5},
        {"data.total": 19.9},
        {"data.gift": True},
        {"data.note": None},
        {"data.lines.1.sku": "B8"},
        {"data.7": "a name"},
        {"data.status": {"ne": "new"}},
        {"data.missing": {"ne": "new"}},
        {"data.missing": {"ne": None}},
        {"data.number": {"ne": "7"}},
        {"data.status": {"in": ["new", "paid"]}},
        {"data.note": {"in": [None]}},
        {"data.total": {"gte": 19.9, "lt": 20}},
        {"data.total": {"lte": 19.9}},
        {"data.number": {"gt": 6.999}},
        {"data.at": {"gte": "2026-11-21", "lt": "2026-11-22"}},
        {"data.note": {"exists": True}},
        {"data.missing": {"exists": False}},
        {"data.lines": {"exists": True}},
        {"data.lines.2": {"exists": False}},
        {"data.at": {"prefix": "2026-11-"}},
        {"data.at": {"prefix": ""}},
    ],
    ids=str,
)
def test_what_holds(conditions):
    assert flaw_of(conditions) is None
    assert matches(conditions, told_in(BODY))


@pytest.mark.everywhere_once
@pytest.mark.parametrize(
    "conditions",
    [
        {"data.status": "Paid"},
        {"data.number": "7"},
        {"data.number": True},
        {"data.gift": 1},
        {"data.gift": "true"},
        {"data.note": "None"},
        {"data.missing": None},
        {"status": "paid"},
        {"data.status": {"ne": "paid"}},
        {"data.total": {"ne": 19.9}},
        {"data.status": {"in": ["new"]}},
        {"data.status": {"gt": 7}},
        {"data.number": {"gt": "6"}},
        {"data.missing": {"lt": 7}},
        {"data.note": {"lte": 7}},
        {"data.gift": {"gte": 1}},
        {"data.total": {"gt": 19.9}},
        {"data.missing": {"exists": True}},
        {"data.note": {"exists": False}},
        {"data.number": {"prefix": "7"}},
        {"data.lines.-1.sku": "B8"},
        {"data.lines.٠.sku": "A7"},
        {"data.status": "paid", "data.number": 8},
        {"data.number": {"gte": 1, "lt": 7}},
    ],
    ids=str,
)
def test_what_does_not_hold(conditions):
    assert flaw_of(conditions) is None
    assert not matches(conditions, told_in(BODY))


@pytest.mark.everywhere_once
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff",
        b"[" * 100_000,
        b'{"a": 1e999999999999999999999}',
        b'{"a": 1',
    ],
)
def test_of_a_body_that_is_no_json_no_condition_holds(body):
    assert not matches({"a": {"ne": 1}}, told_in(body))
    assert not matches({"a": {"exists": False}}, told_in(body))
    assert matches({}, told_in(body))


@pytest.mark.everywhere_once
def test_numbers_are_compared_as_they_are_written():
    assert matches({"a": {"lt": 2**63 - 1}}, told_in(b'{"a": 9223372036854775806}'))
    assert not matches({"a": {"lt": 2**62}}, told_in(b'{"a": 4611686018427387904}'))
    assert matches({"a": 0.1}, told_in(b'{"a": 0.1000}'))
    assert matches({"a": {"gt": 1}}, told_in(b'{"a": ' + b"9" * 10_000 + b"}"))
    assert matches({"a": {"gt": 1}}, told_in(b'{"a": 1e400}'))
    assert not matches({"a": {"gt": 1}}, told_in(b'{"a": NaN}'))


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5]),
    st.text("ab1", max_size=2),
)
WORDS = st.sampled_from(["a", "b", "0", "1"])
BODIES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
COMPARABLE = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.5]), st.text("ab1", max_size=2))
WANTED = st.one_of(
    LEAVES,
    st.fixed_dictionaries(
        {},
        optional={
            "ne": LEAVES,
            "in": st.lists(LEAVES, min_size=1, max_size=3),
            "lt": COMPARABLE,
            "lte": COMPARABLE,
            "gt": COMPARABLE,
            "gte": COMPARABLE,
            "exists": st.booleans(),
            "prefix": st.text("ab1", max_size=2),
        },
    ).filter(bool),
)
CONDITIONS = st.dictionaries(
    st.lists(WORDS, min_size=1, max_size=2).map(".".join), WANTED, max_size=2
)


def naively(conditions: dict, body: Any) -> bool:
    """The same, said without any of the code: by trying, with Python's own comparisons."""
    missing = object()

    def find(path: str) -> Any:
        found = body
        for word in path.split("."):
            try:
                found = found[int(word)] if isinstance(found, list) else found[word]
            except (KeyError, IndexError, TypeError, ValueError):
                return missing
        return found

    def same(one: Any, other: Any) -> bool:
        if type(other) in (int, float) and type(one) is str:
            one = float(one) if one.isdecimal() else one
        numbers = type(one) in (int, float) and type(other) in (int, float)
        return (numbers or type(one) is type(other)) and one == other

    def ordered(one: Any, other: Any, signs: set[int]) -> bool:
        if type(other) in (int, float):
            one = float(one) if type(one) is str and one.isdecimal() else one
            alike = type(one) in (int, float)
        else:
            alike = type(one) is str
        return alike and (one > other) - (one < other) in signs

    tests = {
        "ne": lambda one, other: not same(one, other),
        "in": lambda one, other: any(same(one, each) for each in other),
        "lt": lambda one, other: ordered(one, other, {-1}),
        "lte": lambda one, other: ordered(one, other, {-1, 0}),
        "gt": lambda one, other: ordered(one, other, {1}),
        "gte": lambda one, other: ordered(one, other, {1, 0}),
        "exists": lambda one, other: (one is not missing) == other,
        "prefix": lambda one, other: type(one) is str and one[: len(other)] == other,
    }
    for path, wanted in conditions.items():
        asked = wanted.items() if isinstance(wanted, dict) else [("in", [wanted])]
        if not all(tests[name](find(path), value) for name, value in asked):
            return False
    return True


@pytest.mark.everywhere_once
@given(conditions=CONDITIONS, body=BODIES)
def test_they_hold_when_a_naive_reader_says_so(conditions, body):
    assert flaw_of(conditions) is None
    assert matches(conditions, told_in(json.dumps(body).encode())) == naively(conditions, body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.everywhere_once
@given(conditions=ANYTHING | st.dictionaries(WORDS, ANYTHING), body=ANYTHING)
def test_whatever_was_stored_and_whatever_is_in_a_body_nothing_raises(conditions, body):
    told = told_in(json.dumps(body).encode())

    assert matches(conditions, told) in (True, False)
    flaw_of(conditions)


@pytest.mark.everywhere_once
@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ([], "Use paths"),
        ("data.status", "Use paths"),
        (None, "Use paths"),
        ({f"a{n}": 1 for n in range(MOST + 1)}, "at most 20 conditions"),
        ({f"a{n}": {"in": ["x" * 90] * 9} for n in range(MOST)}, "at most 8192 characters"),
        ({"": 1}, "is no path"),
        ({"data..status": 1}, "is no path"),
        ({"data.": 1}, "is no path"),
        ({7: 1}, "7 is no path"),
        ({"a" * (LONGEST + 1): 1}, "is no path"),
        ({"a\0": 1}, "is no path"),
        ({"\ud800": 1}, "is no path"),
        ({"a": {}}, "a: use a value, or some of these operators: ne, in"),
        ({"a": {"regex": ".*"}}, "a: use a value, or some of these operators"),
        ({"a": {"$gte": 1}}, "a: use a value"),
        ({"a": [1, 2]}, "a: use a text"),
        ({"a": "x" * (LONGEST + 1)}, "a: use a text"),
        ({"a": "\0"}, "a: use a text"),
        ({"a": float("nan")}, "a: use a text"),
        ({"a": float("inf")}, "a: use a text"),
        ({"a": 2**63}, "a: use a text"),
        ({"a": {"ne": [1]}}, "a: use a text"),
        ({"a": {"in": []}}, "a: use a text"),
        ({"a": {"in": "abc"}}, "a: use a text"),
        ({"a": {"in": [1] * (CHOICES + 1)}}, "a: use a text"),
        ({"a": {"gt": True}}, "a: use a text"),
        ({"a": {"gt": None}}, "a: use a text"),
        ({"a": {"exists": 1}}, "a: use a text"),
        ({"a": {"prefix": 7}}, "a: use a text"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_could_not_be_asked_is_refused_in_words(conditions, said):
    with pytest.raises(ValidationError, match=said):
        validate_conditions(conditions)


# ── at the endpoints


@pytest.fixture
def anew(transactional_db) -> None:
    """A database that work in other threads and transactions can see."""


def asks(name: str, *patterns: str, **conditions) -> Endpoint:
    asked = {path.replace("__", "."): wanted for path, wanted in conditions.items()}
    return make_endpoint(f"https://x.example/{name}", *patterns, conditions=asked)


def owed() -> Counter:
    return Counter(Delivery.objects.values_list("endpoint__name", flat=True))


@pytest.mark.parametrize("wrong", [["a"], {"a": {"regex": ".*"}}, {"a": float("nan")}, None])
def test_what_could_not_be_asked_is_not_saved(anew, wrong):
    endpoint = make_endpoint()
    ways = [
        lambda: make_endpoint(conditions=wrong),
        lambda: Endpoint.objects.bulk_create([Endpoint(name="a", conditions=wrong)]),
        lambda: Endpoint.objects.update(conditions=wrong),
        lambda: Endpoint(pk=endpoint.pk, name="a", conditions=wrong).save(),
    ]
    for way in ways:
        with pytest.raises(ValidationError):
            way()

    assert Endpoint.objects.get().conditions == {}


def test_who_has_conditions_is_sent_what_meets_them(anew, receiver, send_due):
    make_endpoint(receiver.url("/all"))
    make_endpoint(receiver.url("/paid"), conditions={"data.status": "paid"})
    make_endpoint(receiver.url("/big"), "order.*", conditions={"data.total": {"gte": 100}})

    publish("order.changed", {"status": "paid", "total": Decimal("19.90")})
    publish("order.changed", {"status": "new", "total": Decimal("100.00")})
    publish("user.changed", {"status": "new", "total": 100})

    send_due()
    told = Counter(got.path for got in receiver.received)
    assert told == {"/all": 3, "/paid": 1, "/big": 1}


def test_a_payload_in_bytes_is_the_body_itself(anew):
    asks("json", status="paid")
    asks("none")

    publish("a", b'{"status": "paid"}')
    publish("a", b"<status>paid</status>", content_type="application/xml")

    assert owed() == {"json": 1, "none": 2}


def test_many_events_are_told_apart_by_what_is_in_them(anew, monkeypatch):
    monkeypatch.setattr(writing, "CHUNK", 4)
    asks("even", "n.*", data__n={"in": [0, 2, 4, 6, 8]})
    asks("low", "n.one", data__n={"lt": 3})
    asks("all", "*")

    publish_many(NewEvent("n.one" if n % 2 else "n.two", {"n": n}) for n in range(10))

    assert owed() == {"even": 5, "low": 1, "all": 10}


def test_who_is_named_or_tested_is_not_asked(anew):
    endpoint = asks("strict", data__never=1)

    publish("a", {}, endpoints=[endpoint])
    publish_test(endpoint)
    publish("a", {})

    assert Delivery.objects.count() == 2


def subscribe_many(count: int, conditions: dict) -> None:
    rows = [
        Endpoint(name="e", url="https://x.example/", conditions=conditions) for _ in range(count)
    ]
    Endpoint.objects.bulk_create(rows, batch_size=500)
    ids = Endpoint.objects.values_list("pk", flat=True)
    asked = [Subscription(endpoint_id=pk, pattern="order.*") for pk in ids]
    Subscription.objects.bulk_create(asked, batch_size=500)


def test_ten_thousand_with_conditions_cost_no_statement_more_and_the_body_is_read_once(
    anew, monkeypatch
):
    read = []
    monkeypatch.setattr(writing, "told_in", lambda body: read.append(1) or told_in(body))
    subscribe_many(10_000, {"data.total": {"gte": 100}})

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish("order.paid", {"total": 99})

    verbs = Counter(query["sql"].split()[0] for query in queries)
    assert verbs == {"INSERT": 1, "SELECT": 11}
    assert (len(read), Delivery.objects.count()) == (1, 0)


def test_where_nobody_has_conditions_no_body_is_read(anew, monkeypatch):
    make_endpoint()
    monkeypatch.setattr(writing, "told_in", lambda body: pytest.fail("read"))

    publish_many(NewEvent("a") for _ in range(3))

    assert Delivery.objects.count() == 3


# ── what was missed


def feed(times: int = 1) -> None:
    for _ in range(times):
        RedeliveryBatch.objects.update(due_at=F("due_at") - timedelta(seconds=90))
        pump.feed(using=DB)


def test_what_was_missed_is_made_if_it_meets_them_a_few_bodies_at_a_time(anew, monkeypatch):
    monkeypatch.setattr(missing, "LOOKED_INTO", 10)
    monkeypatch.setattr(missing, "BODIES", 4)
    publish_many(NewEvent("order.paid", {"n": n}) for n in range(35))
    wanted = {n for n in range(35) if n % 7 == 0}
    late = asks("late", "order.*", data__n={"in": sorted(wanted)})
    since = timezone.now() - timedelta(hours=1)
    batch = batches.start_missed(late.pk, since, using=DB)
    steps = 0
    while batch.state == "running":
        feed()
        batch.refresh_from_db()
        steps += 1

    made = Event.objects.filter(deliveries__endpoint=late).values_list("body", flat=True)
    assert {json.loads(bytes(body))["data"]["n"] for body in made} == wanted
    assert (batch.sent, batch.expected) == (5, 35)
    assert steps == 1


def bodies_read(queries: CaptureQueriesContext) -> int:
    return len([q for q in queries.captured_queries if "body" in q["sql"].partition("FROM")[0]])


def test_a_step_looks_into_so_many_and_ends_where_it_has_enough(anew, monkeypatch):
    monkeypatch.setattr(missing, "LOOKED_INTO", 10)
    monkeypatch.setattr(missing, "BODIES", 4)
    publish_many(NewEvent("order.paid", {"n": n}) for n in range(30))
    ids = sorted(Event.objects.values_list("pk", flat=True))
    order = [json.loads(bytes(Event.objects.get(pk=pk).body))["data"]["n"] for pk in ids]
    late, now = asks("late", data__n={"in": [order[5], order[7], order[25]]}), timezone.now()

    def step(after, most):
        return missing.make(late, after, ids[-1], since=since, most=most, now=now, using=DB)

    since = now - timedelta(hours=1)
    begin = missing.first_at(since)
    with CaptureQueriesContext(connection) as queries:
        assert step(begin, 1)[::2] == (1, ids[5])
    assert bodies_read(queries) == 2
    assert step(ids[5], 5)[::2] == (1, ids[15])
    with CaptureQueriesContext(connection) as queries:
        assert step(ids[15], 5)[::2] == (1, ids[25])
    assert bodies_read(queries) == 3
    assert step(ids[25], 5)[::2] == (0, ids[-1])


# ── in the admin


@pytest.fixture
def root(anew):
    return client_of(User.objects.create_superuser("ada", password="x"))


def saved(client, endpoint: Endpoint, conditions: str) -> str:
    """Save the form with these conditions, and return what it answers; empty if it was saved."""
    page = client.get(url("endpoint", "change", endpoint.pk))
    form = page.context["adminform"].form
    fields = {name: value for name in form.fields if (value := form[name].value()) is not None}
    inlines = {"subscriptions-TOTAL_FORMS": 0, "subscriptions-INITIAL_FORMS": 0}
    sent = {**fields, **inlines, "conditions": conditions}
    response = client.post(url("endpoint", "change", endpoint.pk), sent)
    return response.content.decode()


def test_conditions_are_edited_in_the_admin_and_said_when_they_are_wrong(root):
    endpoint = make_endpoint("https://x.example/a")

    assert "some of these operators" in saved(root, endpoint, '{"data.total": {"over": 9}}')
    assert "valid JSON" in saved(root, endpoint, "{total: 9}")
    assert "Use paths" in saved(root, endpoint, "[]")
    assert saved(root, endpoint, '{"data.total": {"gte": 100}}') == ""
    endpoint.refresh_from_db()
    assert endpoint.conditions == {"data.total": {"gte": 100}}
    page = root.get(url("endpoint", "change", endpoint.pk)).content.decode()
    assert "{&quot;data.total&quot;: {&quot;gte&quot;: 100}}</textarea>" in page
    assert saved(root, endpoint, "") == ""
    endpoint.refresh_from_db()
    assert endpoint.conditions == {}


def test_an_endpoint_without_conditions_shows_an_empty_field_and_saving_it_changes_nothing(root):
    endpoint = make_endpoint("https://x.example/a")

    page = root.get(url("endpoint", "change", endpoint.pk))
    form = page.context["adminform"].form

    assert form["conditions"].value() == ""
    assert not form.fields["conditions"].has_changed(form["conditions"].initial, "")


def test_who_creates_what_was_missed_is_told_that_conditions_decide(root):
    publish("order.paid", {"n": 7})
    asking = asks("asking", data__n=8)
    since = (timezone.localtime() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")

    page = root.get(url("endpoint", "recover_missed", asking.pk), {"since": since})

    assert "Its conditions decide which" in page.content.decode()
