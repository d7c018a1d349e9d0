"""Who listens is told of each thing that happened, once, after it was committed."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, connections, transaction
from django.dispatch import Signal
from django.utils import timezone

from tests.conftest import end_leases, make_due, make_endpoint
from tests.owing import end_pauses, owe, statements
from webhook_delivery import batches, lifecycle, publish, redelivery, tasks
from webhook_delivery.claims import Finding
from webhook_delivery.models import Delivery, RedeliveryBatch
from webhook_delivery.outcomes import Fault, Outcome, fault_of
from webhook_delivery.selecting import selection_of
from webhook_delivery.signals import batch_finished, delivery_dead, delivery_succeeded

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def hearing(signal: Signal, receiver=None):
    """What the signal says meanwhile, each time that it does."""
    heard: list[dict] = []
    listener = receiver or (lambda sender, signal, **told: heard.append({"sender": sender} | told))
    signal.connect(listener)
    try:
        yield heard
    finally:
        assert signal.disconnect(listener)


def claim(count: int) -> list:
    return lifecycle.claim(count, using="default")


def found(claimed, status: int | None = 200, fault: Fault | None = None) -> Finding:
    outcome = Outcome(status, fault or (fault_of(status) if status else None))
    return Finding(claimed, outcome, timezone.now())


def settle(*findings: Finding) -> int:
    return len(lifecycle.settle(findings, using="default"))


# ── deliveries


def test_of_what_has_arrived_it_is_told_with_its_event_and_endpoint(endpoint, send_due):
    publish("order.paid", {"number": 7})

    with hearing(delivery_succeeded) as heard, hearing(delivery_dead) as died:
        send_due()

    [told] = heard
    assert (told["sender"], told["using"]) == (Delivery, "default")
    with statements() as said:
        assert told["delivery"].state == "delivered"
        assert told["delivery"].event.event_type == "order.paid"
        assert told["delivery"].endpoint == endpoint
    assert said == []
    assert bytes(told["delivery"].event.body).startswith(b"{")
    assert died == []


def test_of_what_died_it_is_told_why(receiver, endpoint, send_due):
    receiver.replies(404)
    publish("order.paid", {})

    with hearing(delivery_dead) as heard, hearing(delivery_succeeded) as arrived:
        send_due()

    [told] = heard
    assert (told["delivery"].state, told["reason"]) == ("dead", "http_4xx")
    assert told["sender"] is Delivery
    assert arrived == []


def test_of_what_is_retried_nothing_is_told_until_the_last_attempt(receiver, endpoint, send_due):
    receiver.replies(*[503] * 10)
    publish("order.paid", {})

    with hearing(delivery_dead) as heard:
        for _ in range(9):
            send_due()
            make_due()
            end_pauses()
        assert heard == []
        send_due()

    assert [told["reason"] for told in heard] == ["http_5xx"]


def test_what_is_redelivered_and_dies_again_is_told_of_again(receiver, endpoint, send_due):
    receiver.replies(404, 404)
    publish("order.paid", {})

    with hearing(delivery_dead) as heard:
        send_due()
        redelivery.redeliver(Delivery.objects.dead())
        send_due()

    assert len(heard) == 2


def test_what_is_only_hidden_or_brought_back_has_not_died(endpoint):
    owe(1, endpoint)
    [claimed] = claim(1)
    settle(found(claimed, 404))

    with hearing(delivery_dead) as heard:
        redelivery.discard(Delivery.objects.dead())
        redelivery.restore(Delivery.objects.discarded())

    assert heard == []


def test_a_worker_that_is_lost_at_the_last_attempt_is_told_of(settings, endpoint):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETRY_SCHEDULE": ()}
    owe(1, endpoint)
    claim(1)
    end_leases()

    with hearing(delivery_dead) as heard:
        lifecycle.rescue(using="default")

    assert [told["reason"] for told in heard] == ["worker_lost"]


def test_a_late_worker_tells_nothing(endpoint):
    owe(1, endpoint)
    [late] = claim(1)
    end_leases()
    lifecycle.rescue(using="default")

    with hearing(delivery_succeeded) as heard:
        assert settle(found(late)) == 0

    assert heard == []


def test_what_is_rolled_back_is_never_told(endpoint):
    owe(1, endpoint)
    [claimed] = claim(1)

    with hearing(delivery_succeeded) as heard, pytest.raises(RuntimeError), transaction.atomic():
        assert settle(found(claimed)) == 1
        raise RuntimeError

    assert heard == []
    assert Delivery.objects.sending().count() == 1


def test_it_is_told_after_the_commit(endpoint):
    owe(1, endpoint)
    [claimed] = claim(1)

    with hearing(delivery_succeeded) as heard, transaction.atomic():
        settle(found(claimed))
        assert heard == []

    assert len(heard) == 1


def test_of_what_the_database_refuses_only_the_rest_is_told(endpoint):
    owe(3, endpoint)
    good, bad, dead = claim(3)
    unstorable = Finding(bad, Outcome(status=70_000_000_000), timezone.now())

    with hearing(delivery_succeeded) as heard, hearing(delivery_dead) as died:
        if connection.vendor == "sqlite":  # which stores anything
            settle(found(good), found(dead, 404))
        else:
            settle(found(good), unstorable, found(dead, 404))

    assert [told["delivery"].pk for told in heard] == [good.delivery_id]
    assert [told["delivery"].pk for told in died] == [dead.delivery_id]


def test_two_who_settle_the_same_at_once_tell_it_once(endpoint):
    owe(20, endpoint)
    claims = claim(20)
    findings = [found(each) for each in claims[:10]] + [found(each, 404) for each in claims[10:]]
    ready = threading.Barrier(2, timeout=30)

    def race() -> None:
        try:
            ready.wait()
            lifecycle.settle(findings, using="default")
        finally:
            connections.close_all()

    with hearing(delivery_succeeded) as arrived, hearing(delivery_dead) as died:
        threads = [threading.Thread(target=race) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(told["delivery"].pk for told in arrived) == [c.delivery_id for c in claims[:10]]
    assert sorted(told["delivery"].pk for told in died) == [c.delivery_id for c in claims[10:]]


# ── what it costs, and whom it hurts


def test_who_listens_costs_one_statement_for_all_that_was_settled_together(endpoint):
    def cost(count: int) -> int:
        owe(count, endpoint)
        findings = [found(each) for each in claim(count)]
        with statements() as said:
            assert settle(*findings) == count
        return len(said)

    alone = cost(5)
    with hearing(delivery_succeeded) as heard:
        assert cost(5) == alone + 1
        assert cost(50) == alone + 1
    with hearing(delivery_dead):
        assert cost(5) == alone
    assert len(heard) == 55


def test_a_receiver_that_raises_keeps_nobody_from_hearing(endpoint, caplog):
    owe(2, endpoint)
    findings = [found(each) for each in claim(2)]

    def raises(**told) -> None:
        raise RuntimeError("a receiver's own fault")

    with hearing(delivery_succeeded, raises), hearing(delivery_succeeded) as heard:
        assert settle(*findings) == 2

    assert len(heard) == 2
    assert "a receiver's own fault" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_a_receiver_without_a_name_that_raises_hurts_nobody_either(endpoint, caplog):
    owe(2, endpoint)
    findings = [found(each) for each in claim(2)]

    def raises(how: str, **told) -> None:
        raise RuntimeError(how)

    with hearing(delivery_succeeded, partial(raises, "nameless")):
        assert settle(*findings) == 2

    assert Delivery.objects.delivered().count() == 2
    assert caplog.text.count("nameless") >= 2


# ── redeliveries of many


@pytest.fixture
def dead(endpoint):
    owe(3, endpoint)
    settle(*[found(each, 404) for each in claim(3)])


def test_a_redelivery_of_many_that_is_done_is_told_of_once(dead, settings):
    batch = batches.start(selection_of(), by="ann")

    with hearing(batch_finished) as heard:
        tasks.drain()
        tasks.drain()

    [told] = heard
    assert (told["sender"], told["batch"], told["using"]) == (RedeliveryBatch, batch, "default")
    assert (told["batch"].state, told["batch"].sent) == ("done", 3)
    batch.refresh_from_db()
    assert (batch.state, batch.sent) == ("done", 3)


def test_a_redelivery_that_was_cancelled_does_not_finish(dead):
    batch = batches.start(selection_of(), by="ann")

    with hearing(batch_finished) as heard:
        batches.cancel(batch.pk)
        tasks.drain()

    assert heard == []


def test_making_what_was_missed_is_told_of_too(endpoint):
    other = make_endpoint(name="new")
    publish("order.paid", {})
    Delivery.objects.filter(endpoint=other).delete()
    start = timezone.now() - timedelta(hours=1)
    batches.start_missed(other.pk, start, by="ann")

    with hearing(batch_finished) as heard:
        tasks.drain()

    assert [told["batch"].kind for told in heard] == ["missed"]
