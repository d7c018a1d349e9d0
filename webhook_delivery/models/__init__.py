"""The rows and their vocabulary: endpoints, events, deliveries, their log, and queries for them."""

from webhook_delivery.models.batch import BatchQuerySet, RedeliveryBatch
from webhook_delivery.models.delivery import DeadLetter, Delivery, DeliveryQuerySet
from webhook_delivery.models.endpoint import Endpoint, EndpointQuerySet, Secret, Subscription
from webhook_delivery.models.event import Event
from webhook_delivery.models.lane import Lane
from webhook_delivery.models.log import Attempt, Transition
from webhook_delivery.models.operation import ConsoleAction, Doorbell

__all__ = [
    "Attempt",
    "BatchQuerySet",
    "ConsoleAction",
    "DeadLetter",
    "Delivery",
    "DeliveryQuerySet",
    "Doorbell",
    "Endpoint",
    "EndpointQuerySet",
    "Event",
    "Lane",
    "RedeliveryBatch",
    "Secret",
    "Subscription",
    "Transition",
]
