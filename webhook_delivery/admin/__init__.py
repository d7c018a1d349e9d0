"""The console: endpoints, events, deliveries and dead letters in the Django admin."""

from webhook_delivery.admin.deliveries import DeadLetterAdmin, DeliveryAdmin
from webhook_delivery.admin.endpoints import EndpointAdmin
from webhook_delivery.admin.records import ConsoleActionAdmin, EventAdmin

__all__ = [
    "ConsoleActionAdmin",
    "DeadLetterAdmin",
    "DeliveryAdmin",
    "EndpointAdmin",
    "EventAdmin",
]
