"""Failures of one kind are found by an index of failures, or by the states that they are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.db import connection

from example_project.settings import BASE_DIR
from tests.migrating import migrate, of_today_afterwards
from tests.test_claim_plans import explained, nodes
from tests.test_event_types import execute, written_before
from webhook_delivery import lifecycle
from webhook_delivery.models import Attempt, Delivery, Event

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, SINCE = "0023_untaken_rings", "0024_reason_index"
NAME = "webhook_delivery_reason_idx"


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, Delivery._meta.db_table))


@pytest.fixture
def step_back():
    """Make of the database one of the version before; afterwards it is one of today again."""
    with of_today_afterwards():
        yield partial(migrate, BEFORE)


def test_failures_of_a_kind_are_found_in_every_state(endpoint):
    written_before(*["a"] * len(Delivery.State))
    for delivery, state in zip(Delivery.objects.order_by("pk"), Delivery.State, strict=True):
        reason = "" if state == "delivered" else "dns"
        Delivery.objects.filter(pk=delivery.pk).update(state=state, reason=reason)

    assert {each.state for each in Delivery.objects.failing_of("dns")} == {*Delivery.UNDELIVERED}
    assert Delivery.objects.failing_of("timeout").count() == 0


def test_states_are_all_but_that_of_what_was_delivered():
    assert {*Delivery.UNDELIVERED} == {*Delivery.State} - {Delivery.State.DELIVERED}


def test_the_index_is_taken_away_and_built_again(step_back):
    has_one = connection.features.supports_partial_indexes
    step_back()
    assert NAME not in indexes()

    migrate(SINCE)

    assert (NAME in indexes()) == has_one


if connection.vendor == "postgresql":

    def test_an_index_that_was_built_halfway_is_built_anew(step_back):
        step_back()
        execute(f"CREATE INDEX {NAME} ON webhook_delivery_delivery (reason)")

        migrate(SINCE)

        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [NAME])
            [[told]] = cursor.fetchall()
        assert "(reason, id) WHERE" in told

    def test_a_table_of_partitions_gets_the_index_too(step_back):
        """PostgreSQL builds none beside writers there."""
        step_back()
        with partitioned():
            migrate(SINCE)
            assert NAME in indexes()

            migrate(BEFORE)
            assert NAME not in indexes()

    @contextmanager
    def partitioned() -> Iterator[None]:
        table = Delivery._meta.db_table
        execute(f"ALTER TABLE {table} RENAME TO webhook_whole")
        execute(f"CREATE TABLE {table} (LIKE webhook_whole) PARTITION BY RANGE (id)")
        execute(f"CREATE TABLE webhook_part PARTITION OF {table} DEFAULT")
        try:
            yield
        finally:
            execute(f"DROP TABLE {table}")
            execute(f"ALTER TABLE webhook_whole RENAME TO {table}")

    @pytest.mark.parametrize("model", [Event, Delivery, Attempt])
    def test_who_partitions_a_table_keeps_its_indexes(model):
        script = (BASE_DIR / "docs" / "partitioning.sql").read_text()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexdef FROM pg_indexes WHERE tablename = %s", [model._meta.db_table]
            )
            columns = {told.partition(" USING btree ")[2] for [told] in cursor.fetchall()}

        assert [each for each in columns if each.partition(" WHERE ")[0] not in script] == []


if connection.vendor in ("postgresql", "sqlite"):

    def test_a_reason_that_nobody_has_is_known_by_the_index(endpoint):
        written_before(*["order.paid"] * 3000)
        lifecycle.name_types(using="default")
        Delivery.objects.update(state="delivered", reason="")
        some = Delivery.objects.order_by("pk").values_list("pk", flat=True)[:300]
        Delivery.objects.filter(pk__in=[*some]).update(state="dead", reason="timeout")
        execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

        assert NAME in way_to(Delivery.objects.failing_of("dns").order_by("-pk"))

    def way_to(rows) -> str:
        if connection.vendor == "sqlite":
            return rows.explain()
        plan = explained(rows.query.get_compiler("default").as_sql()[0] % ("'dns'", "''"))
        return " ".join(node.get("Index Name", "") for node in nodes(plan))
