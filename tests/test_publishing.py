"""One event and its deliveries, in the caller's transaction."""

import threading

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django_q.brokers.orm import ORM

from example_project.shop.models import Order
from tests import processes
from tests.conftest import make_endpoint
from webhook_delivery import (
    InvalidEvent,
    PayloadNotSerializable,
    doorbell,
    hearing,
    lifecycle,
    publish,
    publishing,
)
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle import owing
from webhook_delivery.models import Delivery, Doorbell, Endpoint, Event, Subscription
from webhook_delivery.publishing import publish_test
from webhook_delivery.writing import require_same

pytestmark = pytest.mark.django_db(transaction=True)


def owed() -> int:
    assert Event.objects.count() == Delivery.objects.count()
    return Delivery.objects.count()


class Stop(Exception):
    pass


def test_outside_a_transaction_an_event_has_its_own():
    make_endpoint()

    publish("order.shipped", {"number": 7})

    assert owed() == 1


def test_a_rollback_leaves_nothing_and_rings_nobody():
    make_endpoint()

    with pytest.raises(Stop), transaction.atomic():
        Order.objects.create(number=7, total=1)
        publish("order.shipped", {"number": 7})
        raise Stop

    assert owed() == 0
    assert not Doorbell.objects.get().ringing


def test_a_savepoint_rolled_back_takes_only_its_own_events():
    make_endpoint()

    with transaction.atomic():
        publish("order.kept", {})
        with pytest.raises(Stop), transaction.atomic():
            publish("order.dropped", {})
            raise Stop

    assert [event.event_type for event in Event.objects.all()] == ["order.kept"]
    assert owed() == 1


def test_an_event_after_a_savepoint_rolled_back_still_rings():
    make_endpoint()

    with transaction.atomic():
        with pytest.raises(Stop), transaction.atomic():
            publish("order.dropped", {})
            raise Stop
        publish("order.kept", {})

    assert Doorbell.objects.get().ringing


def test_nested_transactions_commit_together():
    make_endpoint()

    with transaction.atomic(), transaction.atomic(), transaction.atomic():
        publish("order.shipped", {})
        assert not Doorbell.objects.get().ringing

    assert owed() == 1
    assert Doorbell.objects.get().ringing


def test_someone_elses_error_on_commit_does_not_lose_the_ring():
    make_endpoint()

    def fails() -> None:
        raise Stop

    with transaction.atomic():
        publish("order.shipped", {})
        transaction.on_commit(fails, robust=True)

    assert owed() == 1
    assert Doorbell.objects.get().ringing


def test_an_error_on_commit_registered_before_ours_leaves_the_rows(send_due, receiver):
    make_endpoint(receiver.url())

    def fails() -> None:
        raise Stop

    with pytest.raises(Stop), transaction.atomic():
        transaction.on_commit(fails)
        publish("order.shipped", {})

    assert owed() == 1
    assert send_due().delivered == 1


def test_a_broker_that_is_stopped_neither_raises_nor_loses(send_due, receiver):
    """A real Redis broker, at a port where nobody listens."""
    make_endpoint(receiver.url())

    processes.run("-m", "tests.publisher", "--orders", "3", broker="stopped")

    assert owed() == 3
    assert send_due().delivered == 3


def test_a_broker_that_fails_neither_raises_nor_loses(monkeypatch, send_due, receiver, caplog):
    make_endpoint(receiver.url())

    def refuse(self, task):
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(ORM, "enqueue", refuse)
    Order.objects.create(number=7, total=1)

    assert owed() == 1
    assert "The broker took no task" in caplog.text
    assert send_due().delivered == 1


def test_a_doorbell_that_is_broken_neither_raises_nor_loses(monkeypatch, caplog):
    make_endpoint()

    def broken(**kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr("webhook_delivery.doorbell.ring", broken)
    publish("order.shipped", {})

    assert owed() == 1
    assert "The doorbell is broken" in caplog.text


def test_an_endpoint_receives_what_it_subscribed_to():
    all_ = make_endpoint("https://a.example/", "*")
    orders = make_endpoint("https://b.example/", "order.*", "order.shipped")
    make_endpoint("https://c.example/", "order.created", "user.*")

    event = publish("order.shipped", {})

    assert {d.endpoint for d in event.deliveries.all()} == {all_, orders}


def test_an_endpoint_hears_its_own_tenant_only():
    acme = make_endpoint("https://a.example/", tenant="acme")
    make_endpoint("https://b.example/", tenant="globex")
    none = make_endpoint("https://c.example/")

    assert [d.endpoint for d in publish("a", {}, tenant="acme").deliveries.all()] == [acme]
    assert [d.endpoint for d in publish("a", {}).deliveries.all()] == [none]


def test_an_endpoint_that_is_off_is_owed_nothing_and_a_paused_one_is_held():
    make_endpoint("https://a.example/", state=Endpoint.State.OFF)
    make_endpoint("https://b.example/", state=Endpoint.State.PAUSED)

    publish("order.shipped", {})

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.due_at) == ("held", None)


def test_an_event_that_nobody_hears_is_still_an_event():
    assert publish("order.shipped", {}).deliveries.count() == 0
    assert Event.objects.count() == 1


def test_the_same_idempotency_key_is_the_same_event():
    make_endpoint()

    first = publish("order.shipped", {"n": 1}, idempotency_key="7")
    again = publish("order.shipped", {"n": 2}, idempotency_key="7")

    assert again == first
    assert bytes(Event.objects.get().body) == first.body
    assert owed() == 1


def test_an_idempotency_key_belongs_to_its_tenant():
    one = publish("order.shipped", {}, idempotency_key="7", tenant="acme")
    other = publish("order.shipped", {}, idempotency_key="7", tenant="globex")

    assert one != other


def test_two_that_publish_the_same_key_at_once_write_one_event():
    make_endpoint()
    start, found = threading.Barrier(4), []

    def race() -> None:
        start.wait()
        try:
            found.append(publish("order.shipped", {}, idempotency_key="7").pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1
    assert owed() == 1


def test_a_key_used_before_leaves_the_callers_transaction_usable():
    publish("order.shipped", {}, idempotency_key="7")

    with transaction.atomic():
        publish("order.shipped", {}, idempotency_key="7")
        Order.objects.create(number=7, total=1)

    assert Order.objects.exists()


@pytest.mark.parametrize(
    "event_type",
    ["", "order created", "order.", ".a", "a..b", "ä", "a" * 201, "a\n", "😀", "a" * 10_240],
)
def test_an_event_type_that_is_none_is_refused(event_type):
    with pytest.raises(InvalidEvent):
        publish(event_type, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": "x" * 101},
        {"tenant": None},
        {"tenant": "a\0b"},
        {"tenant": "\ud800"},
        {"key": "\udfff"},
        {"source": "a\0b"},
        {"idempotency_key": "x" * 201},
        {"idempotency_key": "a\0b"},
        {"idempotency_key": 7},
        {"idempotency_key": ""},
        {"content_type": ""},
        {"content_type": "text/plain\r\nx: y", "payload": b"x"},
        {"content_type": "text/ü", "payload": b"x"},
        {"content_type": "text/xml", "payload": {}},
        {"content_type": "x" * 101},
        {"event_type": None},
        {"event_type": 5},
    ],
    ids=ascii,
)
def test_what_a_database_would_refuse_leaves_the_callers_transaction_usable(wrong):
    with transaction.atomic():
        with pytest.raises(InvalidEvent):
            publish(**{"event_type": "a", "payload": {}, **wrong})
        Order.objects.create(number=7, total=1)

    assert Order.objects.exists()


def test_the_source_of_an_object_with_a_long_key_is_cut():
    assert len(publish("a", {}, source="x" * 300).source) == 200


def test_an_idempotency_key_stands_for_one_event_type():
    publish("order.shipped", {}, idempotency_key="7")

    with pytest.raises(InvalidEvent, match=r"'7' was used for 'order\.shipped'"):
        publish("order.cancelled", {}, idempotency_key="7")


def test_another_integrity_error_is_raised_as_it_is(monkeypatch):
    def broken(*args, **options):
        raise IntegrityError("another constraint")

    monkeypatch.setattr("webhook_delivery.lifecycle.owe", broken)

    with pytest.raises(IntegrityError, match="another"):
        publish("a", {}, idempotency_key="7")


def test_names_that_differ_in_case_accents_or_blanks_are_different():
    make_endpoint("https://a.example/", "order.Created", tenant="acme")

    for tenant in ("ACME", "acme ", "acmé"):
        assert publish("order.Created", {}, tenant=tenant).deliveries.count() == 0
    assert publish("order.created", {}, tenant="acme").deliveries.count() == 0
    assert publish("order.Created", {}, tenant="acme").deliveries.count() == 1
    assert len({publish("a", {}, idempotency_key=k).pk for k in ("Key", "key", "key ")}) == 3


def test_a_payload_that_cannot_be_written_leaves_the_callers_transaction_usable():
    make_endpoint()

    with transaction.atomic():
        with pytest.raises(PayloadNotSerializable):
            publish("order.shipped", object())
        Order.objects.create(number=7, total=1)

    assert Order.objects.count() == 1


def test_the_stored_body_is_the_published_bytes():
    event = publish("raw", b"\x00\xff\xfe", content_type="application/octet-stream")

    event.refresh_from_db()
    assert bytes(event.body) == b"\x00\xff\xfe"
    assert event.content_type == "application/octet-stream"


def make_endpoints(count: int) -> None:
    for number in range(count):
        make_endpoint(f"https://r{number}.example/")


def verbs(queries: CaptureQueriesContext) -> list[str]:
    """What the database was asked, savepoints and transactions included: SELECT, INSERT …"""
    return [query["sql"].split()[0].strip(";") for query in queries]


@pytest.mark.parametrize(
    ("endpoints", "asked"),
    [(0, ["SELECT"]), (1, ["SELECT", "INSERT", "INSERT"]), (10, ["SELECT", "INSERT", "INSERT"])],
)
def test_a_save_costs_few_statements_more(endpoints, asked):
    make_endpoints(endpoints)

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        Order.objects.create(number=7, total=1)

    assert "shop_order" in queries[0]["sql"]
    assert verbs(queries)[1:] == asked


@pytest.mark.parametrize(
    ("endpoints", "asked"),
    [(0, ["SELECT"]), (1, ["SELECT", "INSERT"]), (10, ["SELECT", "INSERT"])],
)
def test_an_event_in_the_callers_transaction_costs_three_statements(endpoints, asked):
    make_endpoints(endpoints)

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish("order.shipped", {})

    assert verbs(queries) == ["INSERT", *asked]


@pytest.mark.parametrize(
    ("endpoints", "asked"),
    [
        (0, ["BEGIN", "INSERT", "SELECT", "COMMIT"]),
        (1, ["BEGIN", "INSERT", "SELECT", "INSERT", "COMMIT"]),
    ],
)
def test_outside_a_transaction_an_event_costs_its_beginning_and_end_too(endpoints, asked):
    make_endpoints(endpoints)
    Doorbell.objects.update(ringing=True, rung_at=Now(), ringing_since=Now())

    with CaptureQueriesContext(connection) as queries:
        publish("order.shipped", {})

    notified = ["NOTIFY"] if connection.vendor == "postgresql" else []
    ring = [*notified, "UPDATE"] if endpoints else []
    assert verbs(queries) == [*asked, *ring]


def test_an_idempotency_key_costs_one_statement_and_no_savepoint():
    make_endpoint()

    with transaction.atomic(), CaptureQueriesContext(connection) as first:
        publish("order.shipped", {}, idempotency_key="7")
    with transaction.atomic(), CaptureQueriesContext(connection) as again:
        publish("order.shipped", {}, idempotency_key="7")

    assert verbs(first) == ["INSERT", "SELECT", "SELECT", "INSERT"]
    assert verbs(again) == ["INSERT", "SELECT", "SELECT"]


def subscribe_many(count: int) -> None:
    names = [f"e{number}" for number in range(count)]
    Endpoint.objects.bulk_create(Endpoint(name=n, url=f"https://{n}.example/") for n in names)
    Subscription.objects.bulk_create(
        Subscription(endpoint=endpoint, pattern="*") for endpoint in Endpoint.objects.all()
    )


def inserts(rows: int) -> int:
    """Into how many statements Django divides so many deliveries; on SQLite, 83 a statement."""
    fields = [field for field in Delivery._meta.concrete_fields if not field.primary_key]
    return -(-rows // min(rows, connection.ops.bulk_batch_size(fields, [None] * rows)))


def test_an_event_for_thousands_of_endpoints_costs_two_statements_a_thousand():
    subscribe_many(2100)

    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        publish("order.shipped", {})

    assert owed_by_event() == [2100]
    assert verbs(queries).count("SELECT") == 3
    assert verbs(queries).count("INSERT") == 1 + 2 * inserts(1000) + inserts(100)
    assert len(queries) == verbs(queries).count("SELECT") + verbs(queries).count("INSERT")


def owed_by_event() -> list[int]:
    return [event.deliveries.count() for event in Event.objects.all()]


def test_a_models_change_reaches_whoever_is_not_on_the_first_page(monkeypatch):
    monkeypatch.setattr(hearing, "PAGE", 2)
    monkeypatch.setattr(owing, "BATCH", 2)
    subscribe_many(5)

    Order.objects.create(number=7, total=1)

    assert owed_by_event() == [5]


def test_an_endpoint_whose_subscriptions_span_pages_is_owed_once(monkeypatch):
    monkeypatch.setattr(hearing, "PAGE", 2)
    for number in range(3):
        make_endpoint(f"https://r{number}.example/", "a.b.c", "a.b.*", "*")

    publish("a.b.c", {})

    assert owed_by_event() == [3]


def test_nobody_is_woken_for_an_event_that_nobody_is_owed():
    make_endpoint("https://a.example/", state=Endpoint.State.OFF)
    make_endpoint("https://b.example/", state=Endpoint.State.PAUSED)

    publish("order.shipped", {})

    assert not Doorbell.objects.get().ringing


def test_what_is_neither_written_nor_to_be_found_is_an_error():
    with pytest.raises(IntegrityError, match="neither written nor"):
        require_same(Event(event_type="a", idempotency_key="7"), None)


def test_many_events_in_one_transaction_ring_once(monkeypatch):
    make_endpoint()
    rung = []
    monkeypatch.setattr("webhook_delivery.scheduling.wake", lambda *a: rung.append(1))

    with transaction.atomic():
        for number in range(5):
            publish("order.shipped", {"number": number})

    assert len(rung) == 1


def test_inline_makes_the_first_attempt_in_this_process(receiver):
    make_endpoint(receiver.url())

    with transaction.atomic():
        publish("order.shipped", {}, inline=True)
        assert receiver.received == []

    assert Delivery.objects.get().state == "delivered"
    assert len(receiver.received) == 1


def test_what_inline_cannot_deliver_goes_on_as_a_retry(receiver, send_due):
    receiver.replies(503)
    make_endpoint(receiver.url())

    publish("order.shipped", {}, inline=True)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made) == ("pending", 1)
    assert delivery.due_at is not None


def test_inline_can_be_the_default(receiver, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "INLINE": True}
    make_endpoint(receiver.url())

    Order.objects.create(number=7, total=1)

    assert Delivery.objects.get().state == "delivered"


def test_inline_never_raises_into_the_caller(receiver, monkeypatch):
    make_endpoint(receiver.url())

    def away(*args, **kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr("webhook_delivery.lifecycle.claim", away)
    publish("order.shipped", {}, inline=True)

    assert Delivery.objects.get().state == "pending"


@pytest.mark.parametrize(
    "write",
    [
        lambda endpoint: publish("a", {}, idempotency_key="once"),
        lambda endpoint: publish_test(endpoint),
    ],
)
def test_a_deadlock_is_repeated_whatever_is_published(endpoint, monkeypatch, write):
    owe, deadlocks = lifecycle.owe, iter([1, 1])

    def deadlocked(*args, **options):
        if next(deadlocks, None):
            raise OperationalError(1213, "Deadlock found when trying to get lock")
        return owe(*args, **options)

    monkeypatch.setattr(lifecycle, "owe", deadlocked)

    event = write(endpoint)

    assert event.deliveries.count() == 1


def test_what_waited_beside_an_inline_attempt_is_rung_for(receiver):
    make_endpoint(receiver.url(), max_in_flight=1)
    first, _ = publish("a", {}), publish("a", {})
    doorbell.answer(using="default")

    publishing.attempt_now(first, using="default")

    assert Delivery.objects.delivered().get().event == first
    assert Doorbell.objects.get().ringing
