"""Each delivery knows the type of its event: whoever wrote it, and whenever that was."""

from datetime import timedelta
from functools import partial
from importlib import import_module

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.migrating import migrate, of_today_afterwards
from tests.test_batches import dead_letters, due_again
from tests.test_claim_plans import execute, explained, nodes
from webhook_delivery import (
    NewEvent,
    batches,
    lifecycle,
    missing,
    publish,
    publish_many,
    pump,
    tasks,
)
from webhook_delivery.forwarding import forward
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.publishing import publish_test
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, SINCE = "0010_exact_search_on_mysql", "0011_event_type_of_deliveries"
migration = import_module(f"webhook_delivery.migrations.{SINCE}")

OLD = """
INSERT INTO webhook_delivery_delivery (event_id, endpoint_id, state, {trigger}, attempts_made,
  attempts_forgiven, reason, created_at, ended_at)
SELECT id, %s, 'dead', 'schedule', 0, 0, 'http_5xx', created_at, created_at
FROM webhook_delivery_event
"""
"""As a worker writes it that has not been upgraded: it knows of no event type."""


def types() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("event_type", flat=True))


def strangers() -> list[tuple[str, str]]:
    """Deliveries that say another type than their event."""
    others = Delivery.objects.exclude(event_type=F("event__event_type"))
    return list(others.values_list("event_type", "event__event_type"))


def written_before(*event_types: str) -> Endpoint:
    """A dead letter of each type, written by a worker that has not been upgraded."""
    Event.objects.bulk_create(Event(event_type=name, body=b"{}") for name in event_types)
    endpoint = make_endpoint()
    execute(OLD.format(trigger=connection.ops.quote_name("trigger")), endpoint.pk)
    return endpoint


# Who writes deliveries


def test_everybody_who_writes_a_delivery_writes_the_type_of_its_event(receiver):
    hears = make_endpoint(receiver.url(), "order.*", name="hears")
    new = make_endpoint(receiver.url("/new"), "none.at.all", name="new")

    event = publish("order.paid", {})
    publish_many([NewEvent("order.created", {}), NewEvent("order.paid", {})])
    publish_test(hears)
    forward(event, new.pk)
    new.subscribe("order.created")
    since = timezone.now() - timedelta(hours=1)
    missing.make(
        new,
        missing.first_at(since),
        missing.newest(using="default"),
        since=since,
        most=10,
        now=timezone.now(),
        using="default",
    )

    assert sorted(types()) == [
        *["order.created"] * 2,
        *["order.paid"] * 3,
        "webhook.test",
    ]
    assert strangers() == []


# Who has not been upgraded yet


def test_the_sweep_names_what_an_older_worker_wrote():
    written_before("order.paid", "order.created", "order.paid")
    assert types() == ["", "", ""]

    tasks.sweep()

    assert strangers() == []
    assert Delivery.objects.of_type("order.paid").count() == 2


def test_many_are_named_chunk_by_chunk(monkeypatch):
    monkeypatch.setattr(lifecycle.owing, "CHUNK", 2)
    written_before(*["order.paid"] * 5)

    assert lifecycle.name_types(using="default") == 5

    assert types() == ["order.paid"] * 5


def test_what_has_no_type_to_be_named_by_is_left():
    written_before("", "order.paid")

    assert lifecycle.name_types(using="default") == 1

    assert sorted(types()) == ["", "order.paid"]


def test_nobody_is_passed_over_by_a_redelivery_of_a_type_that_an_older_worker_wrote():
    written_before("order.paid", "order.created", "order.paid")

    assert Delivery.objects.dead().of_type("order.paid").redeliver().count == 2

    assert list(Delivery.objects.dead().values_list("event_type", flat=True)) == ["order.created"]


@pytest.mark.parametrize("chosen", [{"event_type": "order.*"}, {"q": "order.paid"}])
def test_nobody_is_passed_over_by_a_redelivery_of_many_of_a_type(chosen):
    written_before("order.paid", "invoice.paid", "order.paid")

    batch = batches.start(selection_of(**chosen))
    due_again()
    pump.feed(using="default")

    batch.refresh_from_db()
    assert batch.sent == 2
    assert list(Delivery.objects.dead().values_list("event_type", flat=True)) == ["invoice.paid"]


# Who asks for a type


def test_only_the_type_itself_is_found_and_case_counts(endpoint):
    dead_letters(1, "order.paid")
    dead_letters(2, "order.paidback")
    dead_letters(4, "orders.paid")

    found = Delivery.objects.of_type
    assert [found(p).count() for p in ("order.paid", "order.*", "*", "ORDER.*", "Order.paid")] == [
        1, 3, 7, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["delivery", "deadletter"])
@pytest.mark.parametrize("query", ["", "?event_type=order.paid", "?event_type=order.*"])
def test_no_list_reads_the_events(admin_client, endpoint, model, query):
    dead_letters(3, "order.paid")

    with CaptureQueriesContext(connection) as asked:
        page = admin_client.get(f"/admin/webhook_delivery/{model}/{query}")

    assert page.content.decode().count("order.paid</") >= 3
    assert [each["sql"] for each in asked if "webhook_delivery_event" in each["sql"]] == []


# The migration


@pytest.fixture
def step_back():
    """Make of the database one of the version before; afterwards it is one of today again."""
    with of_today_afterwards():
        yield partial(migrate, BEFORE)


def columns() -> list[str]:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, Delivery._meta.db_table)
    return [column.name for column in described]


def test_the_migration_names_all_that_there_is_step_by_step(step_back, monkeypatch):
    monkeypatch.setattr(migration, "STEP", 2)
    written_before("order.paid", "order.created", "a", "b", "order.paid")
    step_back()
    assert "event_type" not in columns()

    migrate(SINCE)

    assert sorted(types()) == ["a", "b", "order.created", "order.paid", "order.paid"]
    assert strangers() == []


def test_a_migration_that_was_stopped_goes_on(step_back, monkeypatch):
    monkeypatch.setattr(migration, "STEP", 2)
    written_before("a", "b", "c", "d", "e")
    step_back()
    steps = []

    def stopped(work, *, using):
        steps.append(1)
        if len(steps) == 2:
            raise OperationalError("the server went away")
        return work()

    with monkeypatch.context() as patch:
        patch.setattr(migration, "insist", stopped)
        with pytest.raises(OperationalError):
            migrate(SINCE)
    assert sorted(types())[:3] == ["", "", ""]

    migrate(SINCE)

    assert sorted(types()) == ["a", "b", "c", "d", "e"]


def test_the_migration_is_undone_and_done_again(step_back):
    written_before("order.paid")
    step_back()
    migrate(SINCE)
    migrate(BEFORE)
    assert "event_type" not in columns()

    migrate(SINCE)

    assert types() == ["order.paid"]


def test_the_table_of_deliveries_has_nine_indexes_at_most_besides_its_key_on_every_database():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Delivery._meta.db_table)
    named = {name for name, each in found.items() if each["index"] or each["unique"]}
    assert {name for name in named if name.startswith("webhook_")} - {
        f"{Delivery._meta.db_table}_pkey"
    } == {
        "webhook_dead_group_idx",
        "webhook_delivery_created_idx",
        "webhook_delivery_due_idx",
        "webhook_delivery_ended_idx",
        "webhook_delivery_lane_idx",
        "webhook_delivery_once",
        "webhook_delivery_sequence_idx",
        "webhook_delivery_type_idx",
        *(["webhook_delivery_reason_idx"] if connection.features.supports_partial_indexes else []),
    }


if connection.vendor == "mysql":

    def test_the_column_compares_as_that_of_events_does():
        compared = []
        for model in (Event, Delivery):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT collation_name FROM information_schema.columns WHERE table_name = %s"
                    " AND table_schema = DATABASE() AND column_name = 'event_type'",
                    [model._meta.db_table],
                )
                compared += cursor.fetchall()
        assert compared[0] == compared[1]


if connection.vendor == "postgresql":
    CHOSEN = [
        {"event_type": "order.paid"},
        {"event_type": "never.heard"},
        {"event_type": "rare.*"},
        {"q": "order.paid"},
    ]

    def test_dead_letters_of_a_type_are_counted_by_the_index_alone(endpoint):
        written_before(*["order.paid"] * 3000, *["invoice.paid"] * 20_000, *["rare.bird"] * 10)
        lifecycle.name_types(using="default")
        execute("VACUUM ANALYZE webhook_delivery_delivery")

        assert [ways_to_count(chosen) for chosen in CHOSEN] == [
            {("Index Only Scan", "webhook_delivery_type_idx")}
        ] * len(CHOSEN)

    def ways_to_count(chosen: dict[str, str]) -> set[tuple[str, str]]:
        with CaptureQueriesContext(connection) as asked:
            batches.preview(selection_of(**chosen))
        [counted] = [each["sql"] for each in asked]
        read = [
            n for n in nodes(explained(counted)) if n.get("Relation Name", "").endswith("_delivery")
        ]
        return {(n["Node Type"], n["Index Name"]) for n in read}
