"""The example shop uses each feature once; each test shows how, and what comes of it."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from example_project.shop import selling
from example_project.shop.models import Category, Customer, Order, Product
from webhook_delivery.models import Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.testing import incoming

pytestmark = pytest.mark.nightly_on_servers


@pytest.fixture
def order(webhooks) -> Order:
    return Order.objects.create(number=7, total="19.90")


@pytest.fixture
def ann(webhooks) -> Customer:
    return Customer.objects.create(
        name="Ann", email="ann@example.com", tenant="ann", api_token="secret"
    )


@pytest.fixture
def chair(webhooks) -> Product:
    return Product.objects.create(sku="c1", name="Chair", price="50.00", cost="20.00")


# Registering


def test_an_order_is_told_of_from_its_creation_to_its_end(webhooks, order):
    order.status = "paid"
    order.save()
    order.delete()

    assert [one.event_type for one in webhooks.published()] == [
        "order.created",
        "order.updated",
        "order.paid",
        "order.deleted",
    ]


def test_a_tenant_hears_of_its_own_orders_only(webhooks, ann):
    Order.objects.create(number=8, total=1, customer=ann)

    webhooks.assert_sent("order.created", tenant="ann", data__number=8)


def test_neither_the_token_nor_the_address_of_a_customer_leaves(webhooks, ann):
    event = webhooks.assert_sent("customer.created")

    assert event.data == {"name": "Ann", "domain": "example.com"}


def test_events_of_one_customer_are_delivered_in_their_order(webhooks, ann):
    for name in ("Anne", "Anna"):
        ann.name = name
        ann.save()
    webhooks.drain(until="ended")

    names = [request.json()["data"]["name"] for request in webhooks.requests]
    assert names == ["Ann", "Anne", "Anna"]


def test_what_a_product_costs_us_and_a_change_of_it_stay_here(webhooks, chair):
    chair.cost = 10
    chair.save()

    webhooks.assert_not_sent("product.updated")
    assert "cost" not in webhooks.assert_sent("product.created").data


def test_several_saves_in_one_transaction_are_one_event(webhooks):
    seats = Category.objects.create(name="Seats")
    with transaction.atomic():
        chair = Product.objects.create(sku="c1", name="?", price=1)
        chair.name, chair.price = "Chair", 50
        chair.save()
        chair.categories.add(seats)

    [event] = webhooks.published("product.*")
    assert event.data == {"sku": "c1", "name": "Chair", "price": "50.00", "categories": [seats.pk]}


def test_a_reduced_price_is_an_event_of_its_own(webhooks, chair):
    chair.price = Decimal("45.00")
    chair.save()

    webhooks.assert_sent("product.reduced", data__price="45.00")


def test_a_soft_delete_is_told_and_what_follows_it_is_not(webhooks, chair):
    chair.archived_at = timezone.now()
    chair.save()
    chair.name = "Old chair"
    chair.save()
    webhooks.assert_sent("product.archived", times=1)
    webhooks.assert_not_sent("product.updated")

    chair.archived_at = None
    chair.save()
    webhooks.assert_sent("product.restored", times=1)


def test_a_suppliers_list_is_told_product_by_product(webhooks, chair):
    assert selling.import_prices([("c1", Decimal(40)), ("t1", Decimal(90))]) == 2

    webhooks.assert_sent("product.reduced", data__sku="c1", data__price="40.00")
    webhooks.assert_sent("product.created", data__sku="t1")


# Publishing


def test_a_parcel_is_shipped_once_however_often_one_clicks(webhooks, order):
    first, again = selling.ship(order, "P1"), selling.ship(order, "P1")

    assert first.pk == again.pk
    webhooks.assert_sent("order.shipped", times=1, data__parcel="P1")


def test_a_review_is_asked_for_days_later(webhooks, order):
    webhooks.drain()
    selling.ask_for_review(order)
    assert webhooks.drain() == []

    webhooks.let_time_pass(timedelta(days=3, minutes=1))
    webhooks.drain()
    assert webhooks.requests[-1].json()["type"] == "order.review_wanted"


def test_a_review_that_nobody_took_in_a_week_is_asked_for_no_more(webhooks, order):
    webhooks.drain()
    selling.ask_for_review(order)
    asked = len(webhooks.requests)

    webhooks.let_time_pass(timedelta(days=20))
    [delivery] = webhooks.drain()

    assert (delivery.state, delivery.reason) == ("dead", "expired")
    assert len(webhooks.requests) == asked


def test_a_customer_is_greeted_at_their_own_endpoint(webhooks, ann):
    assert selling.greet(ann) is None
    ann.endpoint = webhooks.endpoint("nothing.else")
    ann.save()

    selling.greet(ann)

    webhooks.assert_sent("customer.welcome", to=ann.endpoint, times=1)


def test_a_day_is_closed_twice_and_told_once(webhooks, order):
    assert [selling.close_the_day([order]) for _ in range(2)] == [1, 0]

    webhooks.assert_sent("order.settled", times=1)


@pytest.mark.django_db(transaction=True)
def test_a_coroutine_publishes(webhooks, client):
    order = Order.objects.create(number=7, total=1)

    answer = client.post(
        reverse("call-back", args=[7]), json.dumps({"phone": "1"}), content_type="application/json"
    )

    assert answer.status_code == 202
    webhooks.assert_sent("order.call_wanted", data__phone="1")
    assert order.webhook_events.of_type("order.call_wanted").get().webhook_id in answer.text


# Subscribing


def test_an_endpoint_may_ask_something_of_the_body(webhooks):
    large = webhooks.endpoint("order.created", conditions={"data.total": {"gte": 100}})

    Order.objects.create(number=1, total="100.00")
    Order.objects.create(number=2, total="20.00")

    assert [one.event_type for one in webhooks.published("order.created")] == ["order.created"] * 2
    assert Delivery.objects.for_endpoint(large).count() == 1


def test_an_endpoint_belongs_to_a_customer(webhooks, ann):
    endpoint = webhooks.endpoint("order.*", tenant="ann", owner=ann)

    assert Endpoint.objects.owned_by(ann).get() == endpoint


# Querying


def test_from_an_order_one_comes_to_what_was_told_of_it(webhooks, order, client):
    webhooks.drain()

    page = client.get(reverse("order", args=[7]))

    assert "order.created to" in page.text and "delivered" in page.text
    assert [one.event_type for one in order.webhook_events] == ["order.created"]


def test_dead_letters_are_redelivered_in_one_sentence(webhooks, order):
    webhooks.replies(400)
    [dead] = webhooks.drain()
    user = get_user_model().objects.create(username="olga")

    letters = Delivery.objects.dead().for_endpoint(dead.endpoint).of_type("order.*")
    batch = letters.since(timezone.now() - timedelta(days=1)).redeliver(
        by=user, reason="mended", rate=10
    )

    assert isinstance(batch, RedeliveryBatch)
    assert (batch.by_name, batch.reason, batch.rate_per_second) == ("olga", "mended", 10)


# Hearing back


def test_the_shop_hears_of_a_dead_letter(
    webhooks, order, caplog, django_capture_on_commit_callbacks
):
    webhooks.replies(400)
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        webhooks.drain()

    assert "order.created never reached" in caplog.text


# Receiving


def test_a_suppliers_price_is_heard_once(webhooks, chair, client, settings):
    change = {"sku": "c1", "price": "48.00"}
    arriving = incoming("price.changed", change, secret=settings.SUPPLIER_SECRETS)

    assert client.post(reverse("hear-supplier"), **arriving).status_code == 204
    chair.refresh_from_db()
    assert chair.price == 48
    webhooks.assert_sent("product.reduced", data__price="48.00")
    assert client.post(reverse("hear-supplier"), **arriving).status_code == 200


def test_who_knows_no_secret_changes_no_price(chair, client):
    forged = incoming(
        {"type": "price.changed"}, secret="whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
    )

    assert client.post(reverse("hear-supplier"), **forged).status_code == 400
