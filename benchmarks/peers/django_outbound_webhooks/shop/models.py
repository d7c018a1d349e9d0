"""Holds the model whose creation is told, and the event that tells it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models, transaction
from django_domain_events import event, fire


class Order(models.Model):
    committed = models.FloatField()
    padding = models.TextField()

    def __str__(self) -> str:
        return f"order {self.pk}"


@event(name="shop.OrderPlaced")
@dataclass(frozen=True)
class OrderPlaced:
    order_id: int
    committed: float
    padding: str


def place(committed: float, padding: str) -> None:
    """Save an order and fire its event, in one transaction."""
    with transaction.atomic():
        order = Order.objects.create(committed=committed, padding=padding)
        fire(OrderPlaced(order_id=order.pk, committed=committed, padding=padding))
