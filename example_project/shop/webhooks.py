"""What the shop tells the world about its orders."""

from example_project.shop.models import Order
from webhook_delivery import ModelWebhooks, register


@register(Order)
class OrderWebhooks(ModelWebhooks):
    created, updated, deleted = "order.created", "order.updated", "order.deleted"
    fields = ["number", "status", "total"]
