"""What happens in the shop that no saved row says by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from example_project.shop.models import Customer, Order, Product
from webhook_delivery import NewEvent, publish, publish_many
from webhook_delivery.models import Event


@transaction.atomic
def ship(order: Order, parcel: str) -> Event:
    """Ship a parcel; who hits the button twice ships it once."""
    order.status = Order.Status.SHIPPED
    order.save(update_fields=["status"])
    return publish(
        "order.shipped",
        {"number": order.number, "parcel": parcel},
        source=order,
        idempotency_key=f"shipped-{parcel}",
    )


def ask_for_review(order: Order, *, after: timedelta = timedelta(days=3)) -> Event:
    """Ask in some days, and not at all if it could not be delivered in a week."""
    now = timezone.now()
    return publish(
        "order.review_wanted",
        {"number": order.number},
        source=order,
        deliver_at=now + after,
        expires_at=now + after + timedelta(days=7),
    )


def greet(customer: Customer) -> Event | None:
    """Tell one customer's own endpoint, right now, whatever it is subscribed to."""
    if customer.endpoint is None:
        return None
    return publish(
        "customer.welcome", {"name": customer.name}, endpoints=[customer.endpoint], inline=True
    )


def import_prices(prices: Iterable[tuple[str, Decimal]]) -> int:
    """Write a supplier's list: new products, and new prices of those there are."""
    listed = dict(prices)
    known = list(Product.objects.filter(sku__in=listed))
    for product in known:
        product.price = listed.pop(product.sku)
    with transaction.atomic():
        Product.objects.bulk_update(known, ["price"])
        Product.objects.bulk_create(
            Product(sku=sku, name=sku, price=price) for sku, price in listed.items()
        )
    return len(known) + len(listed)


def close_the_day(orders: Iterable[Order]) -> int:
    """Tell of many at once; a day that is closed again tells of none twice."""
    return publish_many(
        NewEvent(
            "order.settled",
            {"number": order.number},
            source=order,
            idempotency_key=f"settled-{order.number}",
        )
        for order in orders
    )
