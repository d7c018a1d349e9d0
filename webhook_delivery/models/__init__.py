"""The rows and their vocabulary: endpoints, events, deliveries, their log, and queries for them."""

from webhook_delivery.models.answer import KeptAnswer
from webhook_delivery.models.asking import EndpointQuerySet
from webhook_delivery.models.batch import BatchQuerySet, RedeliveryBatch
from webhook_delivery.models.delivery import Delivery, DeliveryQuerySet
from webhook_delivery.models.endpoint import Endpoint
from webhook_delivery.models.event import Event, EventQuerySet, SearchKey
from webhook_delivery.models.failure import Acknowledgement
from webhook_delivery.models.lane import Lane
from webhook_delivery.models.log import Attempt, Transition
from webhook_delivery.models.notice import Notice
from webhook_delivery.models.operation import ConsoleAction, Doorbell, Walk
from webhook_delivery.models.screens import DeadLetter, FailureGroup, Overview
from webhook_delivery.models.secret import Secret
from webhook_delivery.models.statistics import EndpointStat, RollUp
from webhook_delivery.models.subscription import Subscription

__all__ = [
    "Acknowledgement",
    "Attempt",
    "BatchQuerySet",
    "ConsoleAction",
    "DeadLetter",
    "Delivery",
    "DeliveryQuerySet",
    "Doorbell",
    "Endpoint",
    "EndpointQuerySet",
    "EndpointStat",
    "Event",
    "EventQuerySet",
    "FailureGroup",
    "KeptAnswer",
    "Lane",
    "Notice",
    "Overview",
    "RedeliveryBatch",
    "RollUp",
    "SearchKey",
    "Secret",
    "Subscription",
    "Transition",
    "Walk",
]
