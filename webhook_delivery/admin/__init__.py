"""The console: endpoints, events, deliveries and dead letters in the Django admin."""

from webhook_delivery.admin.deliveries import DeadLetterAdmin, DeliveryAdmin
from webhook_delivery.admin.endpoints import EndpointAdmin
from webhook_delivery.admin.events import EventAdmin
from webhook_delivery.admin.groups import FailureGroupAdmin
from webhook_delivery.admin.overview import OverviewAdmin
from webhook_delivery.admin.records import ConsoleActionAdmin
from webhook_delivery.admin.redeliveries import RedeliveryBatchAdmin

__all__ = [
    "ConsoleActionAdmin",
    "DeadLetterAdmin",
    "DeliveryAdmin",
    "EndpointAdmin",
    "EventAdmin",
    "FailureGroupAdmin",
    "OverviewAdmin",
    "RedeliveryBatchAdmin",
]
