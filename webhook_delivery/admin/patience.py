"""How long the console waits for a query: as long as the API does."""

from webhook_delivery.patience import TooSlow, patience

__all__ = ["TooSlow", "patience"]
