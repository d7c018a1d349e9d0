"""Search keys: what is found in a body, what it costs to keep, and how it is looked for."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.owing import statements
from tests.test_admin import url
from webhook_delivery import NewEvent, forwarding, publish, publish_many
from webhook_delivery.models import SearchKey
from webhook_delivery.searching import MOST, fine, key_and_value, values_in

pytestmark = [pytest.mark.django_db(transaction=True)]

KEYS = {"order_id": "data.order.id", "sku": "data.lines.0.sku"}


@pytest.fixture
def keyed(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SEARCH_KEYS": KEYS}


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


# What is found


def found(told: object, path: str = "a") -> str | None:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return dict(values_in(body, {"key": path})).get("key")


@pytest.mark.parametrize(
    ("told", "path", "value"),
    [
        ({"a": "x"}, "a", "x"),
        ({"a": {"b": {"c": 7}}}, "a.b.c", "7"),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.1.b", "2"),
        ({"a": {"1": "name"}}, "a.1", "name"),
        ({"a": True}, "a", "true"),
        ({"a": False}, "a", "false"),
        ({"a": 0}, "a", "0"),
        (b'{"a": 1.50}', "a", "1.50"),
        (b'{"a": ' + b"9" * 90 + b"}", "a", "9" * 90),
        ({"a": "  x  "}, "a", "x"),
        ({"a": "Grüße ☃"}, "a", "Grüße ☃"),
        ({"a": "x" * 100}, "a", "x" * 100),
    ],
)
def test_texts_numbers_and_truths_are_found_where_the_path_leads(told, path, value):
    assert found(told, path) == value


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ({"a": "x" * 101}, "a"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a"),
        ({"a": None}, "a"),
        ({"a": {}}, "a"),
        ({"a": ["x"]}, "a"),
        ({"a": ""}, "a"),
        ({"a": " "}, "a"),
        ({"a": "x\0y"}, "a"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": NaN}', "a"),
        ({"a": "x"}, "b"),
        ({"a": "x"}, "a.b"),
        ({"a": [1]}, "a.1"),
        ({"a": [1]}, "a.-1"),
        ({"a": [1]}, "a.x"),
        ({"a": [1]}, "a.٠"),
        ({"a": [1]}, "a." + "9" * 30),
        ([1], "a"),
        (b"7", "a"),
        (b"<xml/>", "a"),
        (b"", "a"),
        (b"\xff\xfe\x00", "a"),
        (b"[" * 100_000, "a"),
    ],
)
def test_what_is_none_of_these_is_left_out(told, path):
    assert found(told, path) is None


@given(st.binary(max_size=200), st.text(max_size=20))
def test_no_body_and_no_path_does_harm(body, path):
    for _, value in values_in(body, {"key": path}):
        assert 0 < len(value) <= 100


@given(st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists, max_leaves=9))
def test_whatever_json_says_is_stored_or_left_out(told):
    value = found({"a": told})

    assert value is None or ("\0" not in value and value.encode())


@pytest.mark.parametrize(
    ("term", "read"),
    [
        ("order_id:7", ("order_id", "7")),
        ("order_id: 7 ", ("order_id", "7")),
        ("url:https://x.example/", ("url", "https://x.example/")),
        ("order.created", None),
        ("order_id:", None),
        (":7", None),
        ("a b:7", None),
        ("k" * 51 + ":7", None),
        ("key:" + "x" * 101, None),
        ("key:x\0y", None),
        ("key:\ud800", None),
    ],
)
def test_a_term_is_read_as_key_and_value(term, read):
    assert key_and_value(term) == read


# What is kept


def test_the_values_are_kept_with_the_event(keyed):
    event = publish("order.paid", {"order": {"id": 7}, "lines": [{"sku": "A-1"}, {"sku": "B"}]})

    assert set(event.search_keys.values_list("key", "value")) == {("order_id", "7"), ("sku", "A-1")}


def test_what_is_rolled_back_leaves_nothing_to_be_found(keyed):
    with transaction.atomic():
        publish("order.paid", {"order": {"id": 7}})
        transaction.set_rollback(True)

    assert not SearchKey.objects.exists()


def test_an_event_that_was_published_before_is_kept_once(keyed):
    for _ in range(2):
        publish("order.paid", {"order": {"id": 7}}, idempotency_key="a")
    publish_many([NewEvent("order.paid", {"order": {"id": 7}}, idempotency_key="a")])

    assert SearchKey.objects.count() == 1


def test_bodies_that_are_no_json_are_published_all_the_same(keyed):
    publish("order.paid", b"\xff\x00", content_type="application/octet-stream")

    assert not SearchKey.objects.exists()


def said_by(publishing) -> list[str]:
    with statements() as said:
        publishing()
    return said


def inserts(said: list[str]) -> list[str]:
    return [sql for sql in said if sql.startswith("INSERT") and "searchkey" in sql]


def test_publishing_costs_one_statement_more_only_if_something_is_found(settings, endpoint):
    def paid():
        publish("order.paid", {"order": {"id": 7}, "lines": [{"sku": "A"}]})

    paid()  # lays what is laid once
    without = said_by(paid)
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SEARCH_KEYS": KEYS}
    found, nothing = said_by(paid), said_by(lambda: publish("order.paid", {"other": 7}))

    assert (len(found), len(nothing)) == (len(without) + 1, len(without))
    assert (len(inserts(without)), len(inserts(found)), len(inserts(nothing))) == (0, 1, 0)


def test_publishing_many_costs_one_statement_more_for_each_chunk(settings, endpoint):
    def paid(count):
        publish_many([NewEvent("order.paid", {"order": {"id": n}}) for n in range(count)])

    paid(1)
    without = said_by(lambda: paid(200))
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SEARCH_KEYS": KEYS}
    found = said_by(lambda: paid(200))

    assert len(found) == len(without) + 1
    assert len(inserts(found)) == 1
    assert SearchKey.objects.count() == 200


# What may be set


@pytest.mark.parametrize(
    "keys",
    [
        {},
        KEYS,
        {"Order-Id_2": "data.Bestellung.größe"},
        {f"key{n}": "data" for n in range(MOST)},
    ],
)
def test_names_with_dotted_paths_are_fine(settings, keys):
    assert fine(keys)
    assert complaints(settings, keys) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"order id": "data.id"},
        {"order:id": "data.id"},
        {"": "data.id"},
        {"k" * 51: "data.id"},
        {7: "data.id"},
        {"order_id": "data..id"},
        {"order_id": ".data"},
        {"order_id": ""},
        {"order_id": ["data", "id"]},
        {"order_id": None},
        {f"key{n}": "data" for n in range(MOST + 1)},
    ],
)
def test_other_search_keys_are_refused_at_start_up(settings, keys):
    assert complaints(settings, keys) == ["webhook_delivery.E009"]


def test_search_keys_that_are_no_dict_are_refused(settings):
    assert complaints(settings, ["order_id"]) == ["webhook_delivery.E002"]


def complaints(settings, keys) -> list[str]:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SEARCH_KEYS": keys}
    found = run_checks(tags=["webhook_delivery"])
    return [each.id for each in found if "SEARCH_KEYS" in each.msg]


# How it is looked for


def listed(client: Client, model: str, **query) -> list:
    response = client.get(url(model), query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def rows(client: Client, model: str, term: str) -> list:
    return [row.pk for row in listed(client, model, q=term)]


def test_both_lists_find_by_key_and_value_exactly(root, endpoint, keyed):
    events = [publish("order.paid", {"order": {"id": n}}) for n in ("7", "77", "A7", "a7")]
    deliveries = [event.deliveries.get().pk for event in events]

    for number, term in enumerate(["order_id:7", "order_id:77", "order_id:A7", "order_id:a7"]):
        assert rows(root, "event", term) == [events[number].pk]
        assert rows(root, "delivery", term) == [deliveries[number]]
    for term in ["order_id:8", "sku:7", "order_id:%", "order_id:7\u202e", "7:order_id"]:
        assert rows(root, "event", term) == rows(root, "delivery", term) == []


def test_one_value_may_be_of_many_events(root, endpoint, keyed):
    events = [publish("order.paid", {"order": {"id": 7}}) for _ in range(3)]

    assert rows(root, "event", "order_id:7") == [event.pk for event in reversed(events)]
    assert len(rows(root, "delivery", "order_id:7")) == 3


def test_what_is_found_is_of_ones_own_tenants(settings, keyed):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_delivery.only_acme",
    }
    make_endpoint(tenant="acme"), make_endpoint(tenant="globex")
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    ours, _ = (publish("order.paid", {"order": {"id": 7}}, tenant=t) for t in ("acme", "globex"))

    assert rows(client, "event", "order_id:7") == [ours.pk]
    assert rows(client, "delivery", "order_id:7") == [ours.deliveries.get().pk]


def test_the_page_of_an_event_says_by_what_it_is_found(root, keyed):
    event = publish("order.paid", {"order": {"id": "<b>7"}})

    page = root.get(url("event", "change", event.pk)).content.decode()

    assert "<code>order_id:&lt;b&gt;7</code>" in page


def test_of_one_type_the_latest_deliveries_and_events_come_first(root, endpoint):
    first, second = publish("order.paid"), publish("order.paid")
    publish("order.lost")
    other = make_endpoint("https://other.example/", "order.none")
    late = forwarding.forward(
        first, other.pk
    ).delivery.pk  # the newest delivery, of the older event

    expected = [late, second.deliveries.get().pk, first.deliveries.get(endpoint=endpoint).pk]
    for query in ({"q": "order.paid"}, {"event_type": "order.paid"}):
        assert [row.pk for row in listed(root, "delivery", **query)] == expected
        assert [row.pk for row in listed(root, "event", **query)] == [second.pk, first.pk]
    assert listed(root, "delivery", event_type="order.*")[0].pk == late
