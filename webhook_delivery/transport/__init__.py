"""The only place that opens connections."""

from webhook_delivery.transport.posting import (
    EXCERPT_BYTES,
    Transport,
    outcome_of_answer,
    outcome_of_failure,
)
from webhook_delivery.transport.tls import TLS

__all__ = ["EXCERPT_BYTES", "TLS", "Transport", "outcome_of_answer", "outcome_of_failure"]
