"""Many events in one call: the same rows as one by one, in few statements."""

import json
import threading
from collections import Counter

import hypothesis
import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import strategies as st

from example_project.shop.models import Order
from tests.conftest import make_endpoint
from webhook_delivery import (
    InvalidEvent,
    NewEvent,
    PayloadNotSerializable,
    hearing,
    lifecycle,
    publish,
    publish_many,
    writing,
)
from webhook_delivery.lifecycle import owing
from webhook_delivery.models import Delivery, Doorbell, Endpoint, Event

pytestmark = pytest.mark.django_db(transaction=True)


class Stop(Exception):
    pass


def some(count: int, **fields) -> list[NewEvent]:
    return [NewEvent("order.shipped", {"number": n}, **fields) for n in range(count)]


def owed() -> Counter:
    return Counter(Delivery.objects.values_list("event__event_type", "endpoint__name", "state"))


@pytest.fixture
def small(monkeypatch):
    """Chunks, pages and statements so small that a few events need many of each."""
    monkeypatch.setattr(writing, "CHUNK", 8)
    monkeypatch.setattr(writing, "PAIRS", 2)
    monkeypatch.setattr(hearing, "PAGE", 2)
    monkeypatch.setattr(owing, "BATCH", 3)


def test_many_events_are_written_and_delivered(receiver, send_due):
    make_endpoint(receiver.url())

    assert publish_many(some(20)) == 20

    assert send_due().delivered == 20
    assert {json.loads(r.body)["data"]["number"] for r in receiver.received} == set(range(20))


def test_each_event_is_owed_to_whoever_hears_its_type_and_tenant(small):
    make_endpoint("https://x.example/all", "*", "order.*")
    make_endpoint("https://x.example/users", "user.*", state=Endpoint.State.PAUSED)
    make_endpoint("https://x.example/off", "*", state=Endpoint.State.OFF)
    make_endpoint("https://x.example/acme", "order.paid", tenant="acme")

    publish_many(
        [
            NewEvent("order.paid"),
            NewEvent("user.left"),
            NewEvent("order.paid", tenant="acme"),
            NewEvent("user.left", tenant="acme"),
            NewEvent("order.paid", tenant="ACME"),
        ]
    )

    assert Event.objects.count() == 5
    assert owed() == {
        ("order.paid", "all", "pending"): 1,
        ("user.left", "all", "pending"): 1,
        ("user.left", "users", "held"): 1,
        ("order.paid", "acme", "pending"): 1,
    }


def verbs(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"].split()[0].strip(";") for query in queries]


def inserts(model, rows: int) -> int:
    """Into how many statements Django divides an insert of so many rows: several on SQLite."""
    fields = [f for f in model._meta.concrete_fields if model is Event or not f.primary_key]
    return -(-rows // min(rows, connection.ops.bulk_batch_size(fields, [None] * rows)))


@pytest.mark.parametrize(("keyed", "lookups"), [(False, 1), (True, 2)])
def test_a_thousand_events_cost_a_constant_number_of_statements(keyed, lookups):
    make_endpoint()
    chunks = 2
    events = [
        NewEvent(f"order.n{n % 7}", {}, idempotency_key=f"{n}" if keyed else None)
        for n in range(chunks * writing.CHUNK)
    ]

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish_many(events)

    a_chunk = inserts(Event, writing.CHUNK) + inserts(Delivery, writing.CHUNK)
    assert Counter(verbs(queries)) == {
        "SAVEPOINT": 1,
        "INSERT": chunks * a_chunk,
        "SELECT": chunks * lookups,
        "RELEASE": 1,
    }


def test_a_generator_is_read_chunk_by_chunk(small, monkeypatch):
    make_endpoint()
    read, seen = 0, []

    def events():
        nonlocal read
        for event in some(20):
            read += 1
            yield event

    def counting(execute, sql, *rest):
        seen.append(read)
        return execute(sql, *rest)

    with connection.execute_wrapper(counting):
        publish_many(events())

    assert {9, 17} <= set(seen)
    assert Event.objects.count() == 20


def test_heavy_bodies_are_written_few_at_a_time(monkeypatch):
    monkeypatch.setattr(writing, "CHUNK_BYTES", 1000)
    events = [NewEvent("a", b"x" * 400, content_type="text/plain") for _ in range(5)]

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish_many([*events, NewEvent("a", b"x" * 2000)])

    assert verbs(queries).count("INSERT") == 4
    assert Event.objects.count() == 6


def test_no_query_asks_for_more_values_than_any_database_takes(monkeypatch):
    asked = []
    events = [NewEvent(f"a{n}.b{n}.c", tenant=f"t{n}", idempotency_key="1") for n in range(700)]

    def counting(execute, sql, params, *rest):
        asked.append(len(params or ()) if sql.startswith("SELECT") else 0)
        return execute(sql, params, *rest)

    with connection.execute_wrapper(counting):
        publish_many(events)
        assert publish_many(events) == 0

    assert 0 < max(asked) <= 999


def test_many_events_ring_once(monkeypatch):
    make_endpoint()
    rung = []
    monkeypatch.setattr("webhook_delivery.scheduling.wake", lambda *a: rung.append(1))

    publish_many(some(writing.CHUNK + 1))

    assert len(rung) == 1


def test_no_events_are_none():
    assert publish_many([]) == 0
    assert not Doorbell.objects.get().ringing


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (NewEvent("order shipped"), InvalidEvent),
        (NewEvent("order.shipped", object()), PayloadNotSerializable),
        (NewEvent("order.cancelled", idempotency_key="7"), InvalidEvent),
    ],
    ids=["type", "payload", "key"],
)
def test_one_that_is_refused_leaves_none_and_the_callers_transaction_usable(small, wrong, error):
    make_endpoint()
    publish("order.shipped", {}, idempotency_key="7")

    with transaction.atomic():
        with pytest.raises(error):
            publish_many([*some(20), wrong])
        Order.objects.create(number=7, total=1)
    with pytest.raises(error):
        publish_many(iter([*some(20), wrong]))

    assert [e.event_type for e in Event.objects.order_by("pk")] == [
        "order.shipped",
        "order.created",
    ]


def test_many_events_commit_or_roll_back_with_the_callers_transaction():
    make_endpoint()

    with pytest.raises(Stop), transaction.atomic():
        publish_many(some(3))
        raise Stop

    assert not Event.objects.exists()
    assert not Doorbell.objects.get().ringing


def test_the_same_key_is_the_same_event_before_and_within_the_call(small):
    make_endpoint()
    publish("order.shipped", {}, idempotency_key="0")
    keys = ["0", "1", "1", *(str(n) for n in range(2, 12)), "2", "11"]

    events = [NewEvent("order.shipped", idempotency_key=key) for key in keys]
    assert publish_many(events) == 11
    assert publish_many(events) == 0

    assert Counter(Event.objects.values_list("idempotency_key", flat=True)) == {
        str(n): 1 for n in range(12)
    }
    assert Delivery.objects.count() == 12


def test_a_key_is_for_one_type_within_the_call_too():
    with pytest.raises(InvalidEvent, match=r"'7' was used for 'order\.shipped'"):
        publish_many(
            [
                NewEvent("order.shipped", idempotency_key="7"),
                NewEvent("order.cancelled", idempotency_key="7"),
            ]
        )

    assert not Event.objects.exists()


def test_a_key_belongs_to_its_tenant_and_none_is_no_key():
    events = [NewEvent("a", tenant=t, idempotency_key=k) for t in "xy" for k in ("1", None, None)]

    assert publish_many(events) == 6


def test_those_who_publish_the_same_keys_at_once_write_each_event_once():
    make_endpoint()
    start, written = threading.Barrier(4), []
    keys = [str(n) for n in range(40)]

    def race(number: int) -> None:
        order = keys[number * 10 :] + keys[: number * 10]
        start.wait()
        try:
            written.append(
                publish_many([NewEvent("order.shipped", idempotency_key=key) for key in order])
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(written) == 4
    assert sum(written) == Event.objects.count() == Delivery.objects.count() == 40


def deadlock_once(monkeypatch) -> None:
    owe, deadlocks = lifecycle.owe, iter([1])

    def deadlocked(*args, **options):
        if next(deadlocks, None):
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return owe(*args, **options)

    monkeypatch.setattr(lifecycle, "owe", deadlocked)


def test_a_list_is_written_again_after_a_deadlock(monkeypatch):
    make_endpoint()
    deadlock_once(monkeypatch)

    assert publish_many(some(3)) == 3
    assert Delivery.objects.count() == 3


def test_an_iterator_is_read_once_and_a_deadlock_raised(monkeypatch):
    make_endpoint()
    deadlock_once(monkeypatch)

    with pytest.raises(OperationalError):
        publish_many(iter(some(3)))

    assert not Event.objects.exists()


def test_first_attempts_of_many_are_the_workers(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "INLINE": True}
    make_endpoint()

    publish_many(some(3))

    assert set(Delivery.objects.values_list("state", "attempts_made")) == {("pending", 0)}


EVENTS = st.builds(
    NewEvent,
    event_type=st.sampled_from(["a", "a.b", "a.b.c", "b.c", "b"]),
    payload=st.sampled_from([None, {"n": 1}, [1, "ü"], b"raw"]),
    tenant=st.sampled_from(["", "acme"]),
    idempotency_key=st.sampled_from([None, None, None, "1", "2"]),
    source=st.sampled_from(["", "shop.order:7", "x" * 300]),
)


def told(event: Event) -> object:
    body = bytes(event.body)
    return body if body == b"raw" else json.dumps(json.loads(body)["data"])


def rows_of(write) -> object:
    """What is in the tables after writing; None if it was refused."""
    found = None
    with pytest.raises(Stop), transaction.atomic():
        try:
            write()
            found = Counter(
                (
                    e.event_type,
                    told(e),
                    e.tenant,
                    e.idempotency_key,
                    e.content_type,
                    e.source,
                    tuple(d),
                )
                for e in Event.objects.prefetch_related("deliveries__endpoint")
                for d in [
                    sorted(
                        (d.endpoint.name, d.state, d.due_at == d.created_at, d.trigger)
                        for d in e.deliveries.all()
                    )
                ]
            )
        except InvalidEvent:
            pass
        raise Stop
    return found


def one_by_one(events: list[NewEvent]) -> None:
    for event in events:
        publish(
            event.event_type,
            event.payload,
            tenant=event.tenant,
            idempotency_key=event.idempotency_key,
            source=event.source,
        )


def test_many_write_the_same_rows_as_one_by_one(small):
    make_endpoint("https://x.example/1", "a.b", "a.*", "*")
    make_endpoint("https://x.example/2", "a.b.*")
    make_endpoint("https://x.example/3", "b.*", state=Endpoint.State.PAUSED)
    make_endpoint("https://x.example/4", state=Endpoint.State.OFF)
    make_endpoint("https://x.example/5", "a.*", "b", "b.c", tenant="acme")

    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(st.lists(EVENTS, max_size=20))
    def check(events):
        assert rows_of(lambda: publish_many(events)) == rows_of(lambda: one_by_one(events))

    check()
