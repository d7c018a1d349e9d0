"""
The console: endpoints, events, deliveries and dead letters in the Django admin.

overview → groups, endpoints; events → deliveries → endpoints → redeliveries: a package for each
screen, in which `screen` has the list and the page, and the others what stands on them and behind
them. Under all of them: base, what lists and pages share, paging and filters; acts, what buttons
do; payload, of events and of their deliveries; records, of what was done; and how things are said:
hints, words, times and text.
"""

from webhook_delivery.admin.deliveries.screen import DeadLetterAdmin, DeliveryAdmin
from webhook_delivery.admin.endpoints.screen import EndpointAdmin
from webhook_delivery.admin.events.screen import EventAdmin
from webhook_delivery.admin.groups.screen import FailureGroupAdmin
from webhook_delivery.admin.overview.screen import OverviewAdmin
from webhook_delivery.admin.records import ConsoleActionAdmin
from webhook_delivery.admin.redeliveries.screen import RedeliveryBatchAdmin

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
