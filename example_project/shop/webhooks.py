"""What the shop tells the world."""

from typing import Any

from example_project.shop.models import Customer, Order, Product
from webhook_delivery import ModelWebhooks, describe, register


@register(Order)
class OrderWebhooks(ModelWebhooks):
    """An order is told of to everybody, and to the customer whose it is as their tenant."""

    created, updated, deleted = "order.created", "order.updated", "order.deleted"
    transitions = {"order.paid": {"status": "paid"}}
    fields = ["number", "status", "total"]
    descriptions = {
        "order.created": "A customer has placed an order.",
        "order.updated": "An order has changed: it was paid, for example.",
        "order.paid": "The money for an order has arrived.",
        "order.deleted": "An order is gone, with what it was last.",
    }

    def tenant(self, instance: Order) -> str:
        return instance.customer.tenant if instance.customer else ""


@register(Product)
class ProductWebhooks(ModelWebhooks):
    """Several changes in one transaction are one event; what a product costs us is not told."""

    created, updated = "product.created", "product.updated"
    transitions = {
        "product.archived": {"archived_at": (None, ...)},
        "product.restored": {"archived_at": (..., None)},
        "product.reduced": {"price": lambda before, after: after < before},
    }
    fields = ["sku", "name", "price", "categories"]
    watch = ["name", "price", "categories"]
    once_per_transaction = True

    def when(self, instance: Product, event_type: str) -> bool:
        return event_type == "product.archived" or instance.archived_at is None


@register(Customer)
class CustomerWebhooks(ModelWebhooks):
    """Made by hand, in the order of the changes; neither the token nor the whole address leaves."""

    created, updated, deleted = "customer.created", "customer.updated", "customer.deleted"

    def payload(self, instance: Customer) -> dict[str, Any]:
        return {"name": instance.name, "domain": instance.email.rpartition("@")[2]}

    def key(self, instance: Customer) -> str:
        return f"customer:{instance.pk}"


describe(
    "order.shipped",
    "An order has left the house.",
    example={"number": 7, "parcel": "P1"},
    schema={
        "type": "object",
        "properties": {
            "number": {"type": "integer", "description": "The order's number."},
            "parcel": {"type": "string", "description": "What the carrier calls it."},
        },
        "required": ["number"],
    },
)
