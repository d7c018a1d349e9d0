"""What a delivered event costs: statements, connections, decryptions."""

import ssl
from collections import Counter

import pytest
from django.db import connection

from tests.conftest import make_endpoint
from tests.counting import CountingReceiver
from tests.owing import owe, statements
from webhook_delivery import drain, keys, lifecycle
from webhook_delivery.transport import Transport

pytestmark = pytest.mark.django_db(transaction=True)

CONCURRENCY, BACKLOG = 32, 1000
DEAREST = {"postgresql": 0.2, "sqlite": 0.3, "mysql": 0.3}
"""Statements for each event delivered, BEGIN and COMMIT included where Django tells of them."""


@pytest.fixture(autouse=True)
def as_in_production(settings) -> None:
    own = {"CONCURRENCY": CONCURRENCY, "TIMEOUT_SECONDS": 15, "MAX_TIMEOUT_SECONDS": 30}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **own}


@pytest.fixture
def counting():
    with CountingReceiver() as receiver:
        yield receiver


def drain_backlog(counting, endpoints: int) -> list[str]:
    """Deliver a backlog that is owed to so many, and return what was said to the database."""
    owe(BACKLOG // endpoints, *[make_endpoint(counting.url(str(n))) for n in range(endpoints)])
    with statements() as said:
        assert drain.drain(using="default", seconds=60).delivered == BACKLOG
    assert counting.received.total() == BACKLOG
    return said


@pytest.mark.parametrize("endpoints", [1, 50])
def test_a_backlog_of_a_thousand_costs_few_statements_each(counting, endpoints):
    said = drain_backlog(counting, endpoints)

    kinds = Counter(sql.split(" FROM")[0][:60] for sql in said)
    assert len(said) <= DEAREST[connection.vendor] * BACKLOG, kinds.most_common(12)


def test_there_is_one_connection_for_each_thread_at_most(counting):
    drain_backlog(counting, 1)

    assert 1 <= counting.connections <= CONCURRENCY


def test_there_is_one_connection_for_each_endpoint_and_thread_at_most(counting):
    drain_backlog(counting, 2)

    assert 2 <= counting.connections <= 2 * CONCURRENCY


def test_each_secret_is_decrypted_once(counting):
    keys._unsealed.cache_clear()

    drain_backlog(counting, 5)

    told = keys._unsealed.cache_info()
    assert told.misses <= 5 + CONCURRENCY  # threads that begin together may each decrypt it
    assert told.currsize == 5
    assert told.hits >= BACKLOG - told.misses


def test_a_claim_costs_the_same_however_much_is_due():
    endpoint = make_endpoint()
    owe(1, endpoint)
    with statements() as few:
        assert len(lifecycle.claim(50, using="default")) == 1
    owe(150, endpoint)
    with statements() as many:
        assert len(lifecycle.claim(50, using="default")) == 50

    assert len(many) <= len(few)


def test_a_claim_costs_the_same_however_many_endpoints_it_is_for():
    owe(1, make_endpoint())
    lifecycle.claim(50, using="default")
    owe(1, *[make_endpoint() for _ in range(2)])
    with statements() as few:
        assert len(lifecycle.claim(50, using="default")) == 2
    owe(1, *[make_endpoint() for _ in range(40)])
    with statements() as many:
        assert len(lifecycle.claim(50, using="default")) == 40

    assert len(many) <= len(few)


def test_a_drain_that_finds_nothing_asks_little():
    with statements() as said:
        assert drain.drain(using="default", seconds=5).attempts == 0

    assert len(said) <= 8


def test_the_process_has_one_tls_context(monkeypatch):
    made = []
    create = ssl.SSLContext.__new__
    monkeypatch.setattr(
        ssl.SSLContext, "__new__", lambda *a, **k: made.append(1) or create(*a, **k)
    )

    for number in range(3):
        outcome = Transport().post(number, "https://localhost:1/", b"{}", {}, timeout=2)
        assert outcome.fault == "refused"

    assert made == []
