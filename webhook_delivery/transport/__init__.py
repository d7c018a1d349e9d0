"""The only place that opens connections."""

from webhook_delivery.transport.posting import EXCERPT_BYTES, Transport
from webhook_delivery.transport.tls import TLS

__all__ = ["EXCERPT_BYTES", "TLS", "Transport"]
