"""Explicit targets: who is named receives it, whatever it is subscribed to, and nobody else."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_endpoint
from webhook_delivery import (
    InvalidEvent,
    NewEvent,
    endpoints,
    missing,
    publish,
    publish_many,
    targeting,
    writing,
)
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.publishing import publish_test

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"


def named(name: str, *patterns: str, **fields) -> Endpoint:
    return make_endpoint(f"https://x.example/{name}", *patterns, **fields)


def owed() -> Counter:
    rows = Delivery.objects.values_list("event__event_type", "endpoint__name", "state")
    return Counter(rows)


def test_who_is_named_receives_it_and_nobody_else_does(receiver, send_due):
    one, two = (make_endpoint(receiver.url(name), "nothing") for name in ("/one", "/two"))
    make_endpoint(receiver.url("/all"), "*")

    publish("order.paid", endpoints=[one, two.pk, one.pk])

    assert send_due().delivered == 2
    assert sorted(got.path for got in receiver.received) == ["/one", "/two"]


def test_one_that_is_off_gets_nothing_and_for_a_paused_one_it_is_held():
    off, paused = named("off", state="off"), named("paused", state="paused")

    publish("order.paid", endpoints=[off, paused])

    assert owed() == {("order.paid", "paused", "held"): 1}


def test_an_event_for_nobody_is_still_an_event():
    named("all", "*")

    publish("order.paid", endpoints=[])

    assert (Event.objects.count(), Delivery.objects.count()) == (1, 0)


def test_a_set_and_a_queryset_will_do():
    first, second = named("first"), named("second")

    publish("set", endpoints={first.pk, second.pk})
    publish("queryset", endpoints=Endpoint.objects.filter(name="second"))

    assert owed() == {
        ("set", "first", "pending"): 1,
        ("set", "second", "pending"): 1,
        ("queryset", "second", "pending"): 1,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "7",
        7,
        [True],
        ["7"],
        [None],
        [Endpoint(name="unsaved")],
        {7: "seven"},
        iter([7]),
    ],
)
def test_what_is_no_list_of_endpoints_is_refused_before_any_sql(wrong):
    with CaptureQueriesContext(connection) as queries, pytest.raises(InvalidEvent):
        publish("order.paid", endpoints=wrong)

    assert len(queries) == 0


def a_stranger() -> int:
    return named("strange", tenant="globex").pk


def one_that_is_gone() -> int:
    gone = Endpoint.objects.create(name="gone", url="https://x.example/")
    pk = gone.pk
    gone.delete()
    return pk


@pytest.mark.parametrize("whose", [a_stranger, one_that_is_gone])
@pytest.mark.parametrize("many", [False, True])
def test_a_target_that_cannot_be_one_is_refused_before_anything_is_written(whose, many):
    mine, wrong = named("mine", tenant="acme").pk, whose()

    with transaction.atomic():
        with pytest.raises(InvalidEvent, match=f"no endpoint {wrong} "):
            if many:
                publish_many(
                    [NewEvent("fine"), NewEvent("a", tenant="acme", endpoints=[mine, wrong])]
                )
            else:
                publish("a", tenant="acme", endpoints=[mine, wrong])
        publish("goes.on", tenant="acme")

    assert owed() == {("goes.on", "mine", "pending"): 1}
    assert Event.objects.count() == 1


def test_the_same_key_again_is_the_same_event_for_the_same_targets():
    first, second = named("first"), named("second")

    one = publish("order.paid", idempotency_key="7", endpoints=[first])
    again = publish("order.paid", idempotency_key="7", endpoints=[second])

    assert one.pk == again.pk
    assert owed() == {("order.paid", "first", "pending"): 1}


@pytest.mark.parametrize("targets", [1, 50])
def test_an_event_for_named_ones_costs_three_statements(targets):
    rows = [Endpoint(name=f"{n}", url="https://x.example/") for n in range(targets)]
    Endpoint.objects.bulk_create(rows)
    ids = list(Endpoint.objects.values_list("pk", flat=True))

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish("order.paid", endpoints=ids)

    assert len(queries) == 3
    assert Delivery.objects.count() == targets


def verbs(queries: CaptureQueriesContext) -> Counter:
    said = [query["sql"].split()[0].strip(";") for query in queries]
    return Counter(verb for verb in said if verb in ("SELECT", "INSERT"))


def test_many_events_for_named_ones_cost_one_statement_more_a_chunk():
    to, other = named("to", "nothing"), named("other", "order.*")
    events = [
        NewEvent("order.paid", endpoints=[to, other] if n % 2 else None)
        for n in range(2 * writing.CHUNK)
    ]

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        assert publish_many(events) == 2 * writing.CHUNK

    assert verbs(queries)["SELECT"] == 2 * 2
    assert Delivery.objects.count() == writing.CHUNK * 3


def test_no_query_asks_for_more_targets_than_any_database_takes(monkeypatch):
    monkeypatch.setattr(targeting, "AT_ONCE", 2)
    ids = [named(f"{n}").pk for n in range(6)]
    asked = []

    def noted(execute, sql, params, *rest):
        if sql.startswith("SELECT") and "endpoint" in sql and "subscription" not in sql:
            asked.append(len([each for each in params if each in ids]))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(noted):
        publish_many(NewEvent("a", endpoints=ids) for _ in range(3))
        publish_many(NewEvent("a", endpoints=[pk]) for pk in ids)

    assert max(asked) == 2
    assert Delivery.objects.count() == 3 * 6 + 6


def test_named_or_subscribed_each_hears_of_one_key_in_the_order_of_the_events():
    to = named("to", "order.*")
    types = ["order.created", "order.paid", "shop.told", "order.sent", "shop.told", "order.left"]

    publish_many(
        NewEvent(kind, key="order:7", endpoints=[to] if kind == "shop.told" else None)
        for kind in types
    )

    heard = Delivery.objects.order_by("pk").values_list("event__event_type", flat=True)
    assert list(heard) == types


def test_what_was_for_others_is_not_missed(monkeypatch):
    publish("order.paid", endpoints=[named("to")])
    publish("order.sent", endpoints=[])
    publish("order.left")
    late, since = named("late", "*"), timezone.now() - timedelta(hours=1)

    found = missing.missed(late, since, using=DB)

    assert list(found.values_list("event_type", flat=True)) == ["order.left"]
    end, now = missing.newest(using=DB), timezone.now()
    first = missing.first_at(since)
    made = missing.make(late, first, end, since=since, most=9, now=now, using=DB)
    assert made.made == 1


def test_a_test_is_for_the_one_that_is_tested():
    publish_test(named("tested", "nothing"))

    assert Event.objects.get().targeted


def test_who_was_off_when_it_was_named_does_not_miss_it():
    to = named("to")
    endpoints.switch_off(to.pk, using=DB)
    publish("order.paid", endpoints=[to])
    endpoints.switch_on(to.pk, using=DB)

    assert not missing.missed(to, timezone.now() - timedelta(hours=1), using=DB).exists()
