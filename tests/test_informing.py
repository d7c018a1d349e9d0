"""Operators' endpoints hear what became of others: in the same transaction, and without end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import transaction

from tests.conftest import make_endpoint
from tests.owing import end_pauses, owe, statements
from tests.test_overseeing import fail, let_pass
from tests.test_signals import found, settle
from webhook_delivery import (
    batches,
    catalogue,
    endpoints,
    informing,
    lifecycle,
    overseeing,
    publish,
    tasks,
)
from webhook_delivery.clock import Now
from webhook_delivery.fitting import misfits
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.operational import DESCRIPTIONS, SCHEMAS
from webhook_delivery.probing import probe
from webhook_delivery.selecting import selection_of

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"


@pytest.fixture(autouse=True)
def operators(settings, receiver) -> Endpoint:
    """They have a tenant of their own, and hear everything."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "OPERATIONAL_TENANT": "operators"}
    catalogue.changed()
    return make_endpoint(receiver.url("/operators"), tenant="operators")


@pytest.fixture
def customer(receiver) -> Endpoint:
    return make_endpoint(receiver.url("/acme"), tenant="acme", retry_schedule=[], name="acme")


def said() -> list[tuple[str, dict]]:
    """What was published to the operators, and fits the catalogue."""
    events = Event.objects.filter(tenant="operators").order_by("pk")
    told = [(event.event_type, json.loads(bytes(event.body))["data"]) for event in events]
    assert [misfits(event_type, data) for event_type, data in told] == [[]] * len(told)
    return told


def named(endpoint: Endpoint) -> dict[str, object]:
    return {"id": endpoint.pk, "name": endpoint.name, "tenant": endpoint.tenant}


def test_a_dead_letter_is_told_and_arrives_at_the_operators(customer, receiver, send_due):
    receiver.replies(500, path="/acme")
    event = publish("thing.done", {}, tenant="acme")
    send_due()
    send_due()

    [(event_type, data)] = said()
    assert event_type == "delivery.dead"
    assert data == {
        "delivery": event.deliveries.get().pk,
        "webhook_id": event.webhook_id,
        "event_type": "thing.done",
        "endpoint": named(customer),
        "attempts": 1,
        "reason": "http_5xx",
        "status": 500,
    }
    assert [each.path for each in receiver.received] == ["/acme", "/operators"]
    assert all(each.verified for each in receiver.received)


def test_what_dies_at_the_operators_is_told_to_nobody(operators, receiver, send_due):
    Endpoint.objects.update(retry_schedule=[])
    receiver.replies(*[500] * 9, path="/operators")
    publish("thing.done", {}, tenant="operators")
    for _ in range(3):
        send_due()

    assert Delivery.objects.get().state == "dead"
    assert [event_type for event_type, _ in said()] == ["thing.done"]


def test_who_fails_is_told_of_when_warned_when_off_and_when_well_again(customer):
    Endpoint.objects.filter(pk=customer.pk).update(retry_schedule=None)
    Endpoint.objects.exclude(pk=customer.pk).update(state="paused")
    fail(customer, 3)
    let_pass(1)
    fail(customer)
    overseeing.oversee(using=DB)
    let_pass(4)
    fail(customer)
    overseeing.oversee(using=DB)
    end_pauses()
    probe(customer)

    warned, disabled, recovered = said()
    assert (warned[0], warned[1]["endpoint"]) == ("endpoint.warned", named(customer))
    assert disabled[0] == "endpoint.disabled"
    assert disabled[1]["reason"].startswith("failing since")
    assert (recovered[0], recovered[1]["endpoint"]) == ("endpoint.recovered", named(customer))


def test_an_operators_endpoint_that_is_gone_is_told_to_nobody(operators, receiver, send_due):
    receiver.replies(410, path="/operators")
    publish("thing.done", {}, tenant="operators")
    send_due()

    assert Endpoint.objects.get().state == "off"
    assert [event_type for event_type, _ in said()] == ["thing.done"]


def test_a_redelivery_of_many_tells_that_it_is_done(customer, receiver, send_due):
    receiver.replies(500, path="/acme")
    publish("thing.done", {}, tenant="acme")
    send_due()
    batch = batches.start(selection_of(tenant="acme"))
    tasks.drain()
    batch.refresh_from_db()

    assert batch.state == "done"
    told = dict(said())
    assert told["redelivery.finished"] == {"redelivery": batch.pk, "sent": 1, "left": 0}


def test_what_is_rolled_back_is_not_told(customer):
    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        endpoints.mark_off(customer.pk, reason="410 Gone", using=DB)
        raise Undone

    assert said() == []


def test_what_cannot_be_told_undoes_nothing(customer, receiver, send_due, monkeypatch, caplog):
    def broken(*args: object, **kwargs: object) -> int:
        raise ValueError("no such thing")

    monkeypatch.setattr(informing, "publish_many", broken)
    receiver.replies(500, path="/acme")
    publish("thing.done", {}, tenant="acme")
    send_due()

    assert Delivery.objects.get().state == "dead"
    assert "could not be published to operators" in caplog.text


def test_tests_that_fail_are_not_told(customer, receiver):
    receiver.replies(500, path="/acme")
    probe(customer)

    assert said() == []


def test_a_hundred_that_die_together_cost_as_many_statements_as_ten(customer, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "BREAKER_FAILURES": 1_000}
    costs = []
    for count in (10, 100):
        Delivery.objects.pending().update(due_at=Now() + timedelta(days=1))
        owe(count, customer)
        claimed = lifecycle.claim(count, using=DB)
        with statements() as asked:
            settle(*(found(each, 500) for each in claimed))
        costs.append(len(asked))

    assert len(said()) == 110
    assert costs[1] <= costs[0] + 2  # the bell is rung once


def test_nobody_is_told_unless_it_is_asked_for(settings, customer, receiver, send_due):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "OPERATIONAL_TENANT": None}
    receiver.replies(500, path="/acme")
    publish("thing.done", {}, tenant="acme")
    send_due()

    assert said() == []


def test_the_catalogue_describes_what_operators_are_told():
    found = {entry.event_type: entry for entry in catalogue.entries()}

    assert set(DESCRIPTIONS) == set(SCHEMAS) <= set(found)


def test_the_tenant_must_be_one_of_its_own(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "OPERATIONAL_TENANT": ""}

    assert any("OPERATIONAL_TENANT" in each.msg for each in run_checks())
