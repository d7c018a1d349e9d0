"""Receives webhooks in a Django view: `@receives`, for whatever follows Standard Webhooks."""

from webhook_delivery.receiving.deciding import receives
from webhook_delivery.receiving.requests import Webhook, WebhookRequest

__all__ = ["Webhook", "WebhookRequest", "receives"]
