"""What the shop does when it hears what became of its webhooks."""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver

from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.signals import delivery_dead, endpoint_disabled

logger = logging.getLogger(__name__)


@receiver(delivery_dead)
def note_dead_letter(delivery: Delivery, **kwargs: Any) -> None:
    logger.warning("%s never reached %s", delivery.event.event_type, delivery.endpoint)


@receiver(endpoint_disabled)
def note_lost_customer(endpoint: Endpoint, reason: str, **kwargs: Any) -> None:
    logger.warning("%s was switched off: %s", endpoint, reason)
