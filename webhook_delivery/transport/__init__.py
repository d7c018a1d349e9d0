"""The only place that opens connections."""

from webhook_delivery.transport.posting import EXCERPT_BYTES, Transport

__all__ = ["EXCERPT_BYTES", "Transport"]
