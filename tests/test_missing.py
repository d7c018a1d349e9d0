"""What an endpoint was never owed: found, counted, made once, and sent as its endpoint allows."""

import signal
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import processes
from tests.conftest import end_leases, make_endpoint
from webhook_delivery import NewEvent, batches, endpoints, missing, publish, publish_many, pump
from webhook_delivery.models import ConsoleAction, Delivery, Event, RedeliveryBatch
from webhook_delivery.publishing import publish_test

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
AGO = timedelta(hours=1)


def since():
    return timezone.now() - AGO


def unheard(count: int, event_type: str = "order.paid", tenant: str = "", **fields) -> list:
    """So many events while nobody listens, in the order in which they happened."""
    before = set(Event.objects.values_list("pk", flat=True))
    publish_many(NewEvent(event_type, {"n": n}, tenant=tenant, **fields) for n in range(count))
    return sorted(Event.objects.exclude(pk__in=before).values_list("pk", flat=True))


def missed_by(endpoint) -> set:
    return set(missing.missed(endpoint, since(), using=DB).values_list("event_type", flat=True))


def feed(times: int = 1) -> None:
    for _ in range(times):
        RedeliveryBatch.objects.update(due_at=F("due_at") - timedelta(seconds=90))
        pump.feed(using=DB)


def start(endpoint, **fields) -> RedeliveryBatch:
    return batches.start_missed(endpoint.pk, since(), using=DB, **fields)


@pytest.mark.parametrize(
    ("kept", "age", "found"),
    [
        ({}, 29, {"order.paid"}),
        ({}, 31, set()),
        ({"RETAIN_DELIVERED_DAYS": None}, 89, {"order.paid"}),
        ({"RETAIN_DELIVERED_DAYS": None}, 91, set()),
        ({"RETAIN_DELIVERED_DAYS": None, "RETAIN_DEAD_DAYS": None}, 400, {"order.paid"}),
    ],
)
def test_what_may_have_been_delivered_and_deleted_is_not_missed(settings, kept, age, found):
    """An event stays as long as anybody is owed it: longer than what was delivered of it."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **kept}
    happened = timezone.now() - timedelta(days=age)
    pk = missing.first_at(happened)
    Event.objects.bulk_create([Event(pk=pk, event_type="order.paid", body=b"{}")])
    Event.objects.update(created_at=happened)
    rows = missing.missed(make_endpoint(), happened - AGO, using=DB)

    assert set(rows.values_list("event_type", flat=True)) == found


def test_what_happened_before_is_not_missed_however_new_its_id_is(db):
    """Some versions of MariaDB compare ids by their last digits first."""
    unheard(2)
    old, new = Event.objects.order_by("pk")
    Event.objects.filter(pk=old.pk).update(created_at=since() - AGO)
    late = make_endpoint()

    assert missing.missed(late, since(), using=DB).get() == new
    batch = start(late)
    feed()

    assert list(Delivery.objects.values_list("event", flat=True)) == [new.pk]
    batch.refresh_from_db()
    assert (batch.expected, batch.sent, batch.state) == (1, 1, "done")


def test_the_ids_of_events_are_in_the_order_of_time_on_this_database(db):
    earlier = timezone.now() - timedelta(days=400)
    moments = [earlier + timedelta(days=37 * n, milliseconds=n) for n in range(12)]
    ids = [missing.first_at(moment) for moment in moments]
    Event.objects.bulk_create(Event(pk=pk, event_type="a", body=b"") for pk in reversed(ids))

    assert list(Event.objects.order_by("pk").values_list("pk", flat=True)) == ids
    assert Event.objects.filter(pk__gt=ids[3], pk__lte=ids[7]).count() == 4
    assert missing.newest(using=DB) == ids[-1]


def test_an_event_lies_after_the_moment_before_it_and_before_the_one_after(db):
    before, event = timezone.now(), publish("order.paid")

    assert missing.first_at(before) < event.pk
    assert event.pk < missing.first_at(timezone.now() + timedelta(milliseconds=2))


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["order.paid"], {"order.paid"}),
        (["order.*"], {"order.paid", "order.item.sent"}),
        (["order.item.*", "Order.paid"], {"order.item.sent", "Order.paid"}),
        (["*"], {"order.paid", "order.item.sent", "orders.paid", "Order.paid", "order"}),
        (["shop.*"], set()),
    ],
)
def test_what_is_missed_is_what_it_is_subscribed_to(db, patterns, found):
    for event_type in ["order.paid", "order.item.sent", "orders.paid", "Order.paid", "order"]:
        publish(event_type)

    assert missed_by(make_endpoint("https://late.example/", *patterns)) == found


def test_neither_other_tenants_nor_what_is_owed_nor_what_is_older_is_missed(db):
    listening = make_endpoint(tenant="acme")
    unheard(2, "not.ours", tenant="globex")
    unheard(1, "not.ours")
    publish("order.heard", tenant="acme")
    late = make_endpoint("https://late.example/", tenant="acme")

    assert missed_by(listening) == set()
    assert missed_by(late) == {"order.heard"}
    assert not missing.missed(late, timezone.now() + AGO, using=DB).exists()


def test_a_test_of_one_endpoint_is_missed_by_no_other(db):
    publish_test(make_endpoint())

    assert missed_by(make_endpoint("https://late.example/")) == set()


def test_so_many_are_counted_and_no_more(db, monkeypatch):
    unheard(5)
    rows = missing.missed(make_endpoint(), since(), using=DB)
    assert str(missing.count(rows)) == "5"

    monkeypatch.setattr(missing, "COUNTED", 4)
    assert str(missing.count(rows)) == "4+"


def test_what_was_missed_is_made_and_delivered_in_the_order_of_the_events(receiver, send_due):
    endpoint = make_endpoint(receiver.url(), "order.*", ordered=True, format="structured")
    endpoints.switch_off(endpoint.pk, using=DB)
    events = unheard(7)
    unheard(3, "other.kind")
    endpoints.switch_on(endpoint.pk, using=DB)

    batch = start(endpoint, by="ann", reason="it was off")
    later = publish("shop.opened")
    feed()
    made = list(Delivery.objects.order_by("pk"))
    while send_due().attempts:
        pass

    batch.refresh_from_db()
    assert (batch.state, batch.expected, batch.sent) == ("done", 7, 7)
    assert (batch.kind, batch.by_name, batch.ended_at is not None) == ("missed", "ann", True)
    assert [each.event_id for each in made] == events
    assert {(each.state, each.sequence, each.format) for each in made} == {
        ("pending", 0, "structured")
    }
    assert [each.webhook_id for each in receiver.received] == [f"evt_{pk.hex}" for pk in events]
    assert not later.deliveries.exists()
    kept = ConsoleAction.objects.get()
    assert (kept.verb, kept.count, kept.reason) == ("recover_missed", 7, "it was off")
    assert kept.about == f"{endpoint.pk} ({endpoint})"


def test_what_happens_after_it_began_is_not_made(db):
    endpoint = make_endpoint("https://late.example/", "order.*")
    first = unheard(2, "order.paid")
    Delivery.objects.all().delete()
    batch = start(endpoint)
    unheard(2, "order.paid")
    Delivery.objects.all().delete()

    feed(2)

    batch.refresh_from_db()
    assert sorted(Delivery.objects.values_list("event", flat=True)) == first
    assert batch.state == "done"


def test_where_there_are_no_events_it_ends_at_once(db):
    batch = start(make_endpoint())

    feed()

    batch.refresh_from_db()
    assert (batch.state, batch.expected, batch.sent) == ("done", 0, 0)


def test_a_paused_endpoint_has_them_held_and_one_that_is_off_makes_it_wait(db):
    unheard(3)
    endpoint = make_endpoint()
    endpoints.switch_off(endpoint.pk, using=DB)
    batch = start(endpoint)

    feed()
    batch.refresh_from_db()
    assert (batch.state, batch.sent, Delivery.objects.count()) == ("running", 0, 0)

    endpoints.pause(endpoint.pk, using=DB)
    feed()
    batch.refresh_from_db()
    assert (batch.state, batch.sent) == ("done", 3)
    assert set(Delivery.objects.values_list("state", "due_at")) == {("held", None)}


def test_of_an_endpoint_that_was_deleted_nothing_is_made(db):
    unheard(3)
    endpoint = make_endpoint()
    batch = start(endpoint)
    endpoint.delete()

    feed()

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == ("done", 0)


def test_it_goes_in_chunks_and_no_more_wait_than_one_chunk(db, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    events = unheard(10)
    batch = start(make_endpoint())

    seen = []
    for _ in range(6):
        feed()
        batch.refresh_from_db()
        seen.append((batch.sent, Delivery.objects.count()))
        Delivery.objects.pending().update(state="delivered", due_at=None)

    assert seen == [(4, 4), (8, 8), (10, 10), (10, 10), (10, 10), (10, 10)]
    assert sorted(Delivery.objects.values_list("event", flat=True)) == events

    endpoint = make_endpoint("https://busy.example/")
    batch = start(endpoint)
    feed(3)
    batch.refresh_from_db()
    assert batch.sent == 4, "those wait still"


def test_it_looks_at_so_many_events_at_once_and_finds_what_lies_behind_them(db, monkeypatch):
    monkeypatch.setattr(missing, "WINDOW", 10)
    unheard(25, "other.kind")
    wanted = unheard(3)
    unheard(25, "other.kind")
    batch = start(make_endpoint("https://late.example/", "order.*"))

    steps = 0
    while batch.state == "running":
        feed()
        batch.refresh_from_db()
        steps += 1

    assert sorted(Delivery.objects.values_list("event", flat=True)) == wanted
    assert steps == 6


def test_a_step_costs_the_same_for_few_as_for_many(db):
    few, many = make_endpoint("https://few.example/", "few.*"), make_endpoint("https://m.example/")
    endpoints.switch_off(few.pk, using=DB)
    endpoints.switch_off(many.pk, using=DB)
    unheard(2, "few.ones")
    unheard(300)
    for endpoint in (few, many):
        endpoints.switch_on(endpoint.pk, using=DB)
    costs = []
    for endpoint in (few, many):
        start(endpoint)
        with CaptureQueriesContext(connection) as queries:
            feed()
        costs.append(len([q for q in queries.captured_queries if "INSERT" not in q["sql"]]))

    assert Delivery.objects.count() == 2 + 302
    assert costs[0] == costs[1]


def test_it_is_paused_resumed_slowed_down_and_cancelled_like_others(db):
    unheard(30)
    batch = start(make_endpoint(), rate=8)
    feed()
    batch.refresh_from_db()
    first = batch.sent
    assert 0 < first <= 11

    assert batches.pause(batch.pk, by="ann")
    feed()
    assert Delivery.objects.count() == first
    assert batches.resume(batch.pk, by="ann")
    assert batches.set_rate(batch.pk, 1, by="ann")
    feed()
    batch.refresh_from_db()
    assert first < batch.sent <= first + 3
    assert batches.cancel(batch.pk, by="ann")
    feed()
    assert Delivery.objects.count() == batch.sent < 30


def test_two_that_make_the_same_make_it_once(db):
    events = unheard(20)
    endpoint = make_endpoint()
    start(endpoint)
    start(endpoint)

    feed(3)

    assert sorted(Delivery.objects.values_list("event", flat=True)) == events
    assert not RedeliveryBatch.objects.unfinished().exists()


MANY, KILLS = 120, 3


def test_what_was_missed_is_made_once_when_its_workers_are_killed(receiver):
    events = unheard(MANY)
    batch = start(make_endpoint(receiver.url()), rate=60)
    doubled = 0
    for kill in range(1, KILLS + 1):
        with processes.drain_loop() as worker:
            receiver.wait_for(kill * MANY // (KILLS + 2))
            worker.signal(signal.SIGKILL)
        doubled += Delivery.objects.sending().count()
        end_leases()
    with processes.drain_loop():
        processes.wait_until(lambda: Delivery.objects.delivered().count() == MANY, seconds=30)

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (RedeliveryBatch.State.DONE, MANY)
    assert sorted(Delivery.objects.values_list("event", flat=True)) == events
    arrived = Counter(each.webhook_id for each in receiver.received)
    assert len(arrived) == MANY
    assert sum(arrived.values()) <= MANY + doubled
