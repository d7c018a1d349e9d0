"""The rows and their vocabulary: endpoints, events, deliveries, attempts, and queries for them."""

from webhook_delivery.models.delivery import Attempt, DeadLetter, Delivery, DeliveryQuerySet
from webhook_delivery.models.endpoint import Endpoint, EndpointQuerySet, Secret, Subscription
from webhook_delivery.models.event import Event
from webhook_delivery.models.operation import ConsoleAction, Doorbell

__all__ = [
    "Attempt",
    "ConsoleAction",
    "DeadLetter",
    "Delivery",
    "DeliveryQuerySet",
    "Doorbell",
    "Endpoint",
    "EndpointQuerySet",
    "Event",
    "Secret",
    "Subscription",
]
