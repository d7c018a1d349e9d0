"""Publishes and saves one by one, and counts what that costs the caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from statistics import median
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from benchmarks.workers.counting import Statements
from example_project.shop.models import Order
from example_project.shop.webhooks import OrderWebhooks
from webhook_delivery import ModelWebhooks, publish, registry

BODY = {"number": 7, "padding": "x" * 900}


def prepare(*, times: int) -> Callable[[], Mapping[str, Any]]:
    """Each act is done so many times, in a transaction of its own."""
    statements = Statements()
    acts = {"publish": _publish, "create": _create, "update": _update, "plain": _create_plainly}

    def act() -> Mapping[str, Any]:
        _create_plainly(-1)  # what is there to be updated
        watched = _cost(_update, times, statements)
        with _told_by(Plainly):
            return {name: _cost(each, times, statements) for name, each in acts.items()} | {
                "watched": watched
            }

    return act


class Plainly(ModelWebhooks):
    """What is told of orders without looking at what they were before."""

    created, updated, deleted = "order.created", "order.updated", "order.deleted"
    fields = ["number", "status", "total"]


@contextmanager
def _told_by(webhooks: type[ModelWebhooks]) -> Iterator[None]:
    registry.unregister(Order)
    registry.register(Order)(webhooks)
    yield
    registry.unregister(Order)
    registry.register(Order)(OrderWebhooks)


def _cost(act: Callable[[int], object], times: int, statements: Statements) -> dict[str, float]:
    """Medians; `inside` the transaction and in all are in ms, the rest counts statements."""
    runs = [_cost_of_one(act, number, statements) for number in range(times)]
    names = ("inside", "in_all", "statements", "after")
    return {name: median(run[place] for run in runs) for place, name in enumerate(names)}


def _cost_of_one(
    act: Callable[[int], object], number: int, statements: Statements
) -> tuple[float, float, int, int]:
    statements.take()
    began = time.perf_counter()
    with transaction.atomic():
        act(number)
        inside, done = statements.take(), time.perf_counter()
    ended = time.perf_counter()
    return 1000 * (done - began), 1000 * (ended - began), inside, statements.take()


def _publish(number: int) -> None:
    publish("bench.all", BODY)


def _create(number: int) -> None:
    Order(number=number, total=19).save()


def _update(number: int) -> None:
    order = _order()
    order.status = Order.Status.PAID if number % 2 else Order.Status.NEW
    order.save()


@cache
def _order() -> Order:
    return Order.objects.earliest("pk")


def _create_plainly(number: int) -> None:
    """The same statement, by Django's own queryset, which tells nobody."""
    QuerySet(Order).bulk_create([Order(number=1_000_000 + number, total=19)])
