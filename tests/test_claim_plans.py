"""What a claim reads, on a PostgreSQL or MariaDB that holds much: by index, and little of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_endpoint
from tests.owing import block, owe
from webhook_delivery import lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.doorbell import soonest
from webhook_delivery.lifecycle.looking import Look
from webhook_delivery.models import Delivery, Endpoint, Event, Lane

pytestmark = pytest.mark.django_db(transaction=True)

READ_AT_MOST = 5000
"""Rows that one statement of a claim may read, those that it throws away included."""

ENDPOINTS = """
INSERT INTO webhook_delivery_endpoint (name, url, tenant, state, state_reason, ordered, format,
  sealed_headers, ca_bundle, sealed_client_certificate, tls_minimum, created_at, updated_at)
SELECT 'many-' || n, 'https://receiver.example/', '', 'on', '', false, 'standard', '', '', '',
  '1.2', now(), now()
FROM generate_series(1, %s) n
"""
OWED = """
INSERT INTO webhook_delivery_delivery (event_id, event_type, endpoint_id, state, due_at, trigger,
  attempts_made, attempts_forgiven, reason, created_at)
SELECT e.id, e.event_type, %s, 'pending',
  now() - make_interval(secs => 7200.0 * row_number() OVER () / %s), 'schedule', 0, 0, '', now()
FROM webhook_delivery_event e
"""
EVENTS = """
INSERT INTO webhook_delivery_event (id, event_type, tenant, key, source, content_type, body,
  created_at)
SELECT gen_random_uuid(), 'order.paid', '', '', '', 'application/json', '{}', now()
FROM generate_series(1, %s)
"""
BACKLOG = """
INSERT INTO webhook_delivery_delivery (event_id, event_type, endpoint_id, state, due_at, trigger,
  attempts_made, attempts_forgiven, reason, created_at)
SELECT e.id, e.event_type, p.id, 'pending', now() - make_interval(secs => 3600), 'schedule', 0, 0,
  '', now()
FROM webhook_delivery_endpoint p,
  (SELECT id, event_type FROM webhook_delivery_event LIMIT %s) e WHERE p.name LIKE 'many-%%'
"""


MARIADB_EVENTS = """
INSERT INTO webhook_delivery_event (id, event_type, tenant, `key`, source, content_type, body,
  created_at)
SELECT CONCAT('00000000-0000-7000-8000-', LPAD(HEX(seq), 12, '0')), 'order.paid', '', '', '',
  'application/json', '{{}}', UTC_TIMESTAMP(6)
FROM seq_1_to_{rows}
"""
MARIADB_ROWS = """
INSERT INTO webhook_delivery_delivery (event_id, event_type, endpoint_id, state, due_at, `trigger`,
  attempts_made, attempts_forgiven, reason, created_at)
SELECT CONCAT('00000000-0000-7000-8000-', LPAD(HEX(seq), 12, '0')), 'order.paid', %s, %s,
  UTC_TIMESTAMP(6) + INTERVAL %s SECOND + INTERVAL seq SECOND, 'schedule', 0, 0, '',
  UTC_TIMESTAMP(6)
FROM seq_1_to_{rows}
"""


def execute(sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def fill(rows: int, endpoints: int, *, each: int) -> Endpoint:
    """Owe so many to one blocked endpoint, older and newer than what so many others are owed."""
    dead = make_endpoint()
    execute(EVENTS, rows)
    execute(OWED, dead.pk, rows)
    execute(ENDPOINTS, endpoints)
    execute(BACKLOG, each)
    block(dead, seconds=300)
    for table in (Event, Delivery, Endpoint):
        execute(f"ANALYZE {table._meta.db_table}")
    execute("ANALYZE webhook_delivery_lane")
    return dead


def executed(work) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        work()
    verbs = ("SELECT", "UPDATE", "INSERT", "DELETE")
    return [query["sql"] for query in queries if query["sql"].startswith(verbs)]


def nodes(plan: dict):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def explained(sql: str) -> dict:
    """How the database did it, for those that only read; how it would, for those that write."""
    options = "ANALYZE, FORMAT JSON" if sql.startswith("SELECT") else "FORMAT JSON"
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}) {sql.replace('%', '%%')}", ())
        [[found]] = cursor.fetchall()
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def read(node: dict) -> int:
    """How many rows a node of a plan has read, of its table or index."""
    removed = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return (node.get("Actual Rows", 0) + removed) * node.get("Actual Loops", 1)


def faults(sql: str) -> list[str]:
    """What is wrong with how a statement is executed; empty if nothing is."""
    plan = explained(sql)
    found = [
        f"{node['Node Type']} of {node['Relation Name']}"
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"].endswith("_delivery")
    ]
    scanned = sum(read(node) for node in nodes(plan) if "Scan" in node["Node Type"])
    if scanned > READ_AT_MOST:
        found.append(f"{scanned} rows read")
    return [f"{each}: {sql[:3000]}" for each in found]


def indexes(sql: str) -> set[str]:
    return {node["Index Name"] for node in nodes(explained(sql)) if "Index Name" in node}


def claims_read_little() -> None:
    look = Look("default")
    said = executed(lambda: [lifecycle.claim(128, using="default", look=look) for _ in range(4)])

    assert [fault for sql in said for fault in faults(sql)] == []
    used = set().union(*(indexes(sql) for sql in said))
    assert {"webhook_delivery_due_idx", "webhook_delivery_lane_idx"} <= used
    assert Delivery.objects.sending().exists()


if connection.vendor == "postgresql":

    def test_a_claim_reads_little_of_sixty_thousand_rows():
        fill(60_000, 500, each=5)

        claims_read_little()

    def test_a_claim_reads_little_if_all_but_a_few_are_owed_to_one_endpoint():
        dead = fill(60_000, 20, each=0)
        Lane.objects.filter(endpoint=dead).update(blocked_until=None)
        few = Endpoint.objects.exclude(pk=dead.pk)[:5]
        owe(1, *few)

        claims_read_little()

    def test_what_waits_is_found_without_reading_what_is_due():
        to = fill(60_000, 20, each=0)
        Delivery.objects.update(due_at=Now() - timedelta(hours=1))
        tenth = Delivery.objects.annotate(of_ten=F("pk") % 10).filter(of_ten=0)
        tenth.update(state="dead", due_at=None)
        later, turn = owe(2, to, ago=-3600)
        Delivery.objects.filter(pk=turn.pk).update(due_at=None, sequence=7)
        execute("ANALYZE webhook_delivery_delivery")

        waiting = Delivery.objects.later().order_by("-pk")[:50]
        said = executed(lambda: list(waiting))

        assert list(waiting) == [turn, later]
        assert [fault for sql in said for fault in faults(sql)] == []

    @pytest.mark.nightly
    def test_a_claim_reads_little_of_a_million_rows_of_ten_thousand_endpoints():
        fill(1_000_000, 10_000, each=20)

        claims_read_little()


if connection.vendor == "mysql":

    def hold_much(rows: int, **kinds: tuple[str, int | None]) -> None:
        """So many rows of each kind, to an endpoint of their own: their state, and when due."""
        execute(MARIADB_EVENTS.format(rows=rows))
        for name, (state, due) in kinds.items():
            to = make_endpoint(name=name)
            execute(MARIADB_ROWS.format(rows=rows), to.pk, state, due)
        tables = "webhook_delivery_event, webhook_delivery_delivery, webhook_delivery_endpoint"
        execute(f"ANALYZE TABLE {tables}")

    def counts() -> int:
        """How many entries of tables and indexes this connection has read, ever."""
        with connection.connection.cursor() as cursor:  # as Django's would be counted, too
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler%'")
            told = dict(cursor.fetchall())
        read = ("Handler_read", "Handler_icp_attempts")
        return sum(int(count) for name, count in told.items() if name.startswith(read))

    @contextmanager
    def reading_little() -> Iterator[None]:
        much: list[str] = []

        def counted(execute, sql, *rest):
            before = counts()
            done = execute(sql, *rest)
            if (read := counts() - before) > READ_AT_MOST:
                much.append(f"{read} read: {sql[:1000]}")
            return done

        connection.ensure_connection()
        with connection.execute_wrapper(counted):
            yield
        assert much == []

    def claims_and_waits_read_little() -> None:
        look = Look("default")
        with reading_little():
            taken = [len(lifecycle.claim(128, using="default", look=look)) for _ in range(4)]
            soonest("default")
        assert taken[0] == 128

    def owe_some() -> None:
        owe(40, *(make_endpoint() for _ in range(10)), ago=60)

    def test_a_claim_does_not_read_what_has_ended():
        hold_much(20_000, delivered=("delivered", None), dead=("dead", None))
        owe_some()

        claims_and_waits_read_little()

    def test_a_claim_reads_neither_what_is_due_later_nor_what_waits_for_its_turn():
        hold_much(20_000, later=("pending", 3600), parked=("pending", None))
        owe_some()

        claims_and_waits_read_little()

    def test_a_claim_reads_little_of_what_is_due_to_one_endpoint_at_the_same_moment():
        dead = make_endpoint()
        hold_much(20_000, later=("pending", 3600))
        owe(6_000, dead, ago=3600)
        block(dead, seconds=300)
        owe_some()
        owe(300, dead)

        claims_and_waits_read_little()

    @pytest.mark.nightly
    def test_a_claim_reads_little_of_a_million_that_have_ended():
        hold_much(1_000_000, delivered=("delivered", None))
        owe_some()

        claims_and_waits_read_little()
