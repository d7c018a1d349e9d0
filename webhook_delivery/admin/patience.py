"""How long the console waits for a query of a list, before it says so instead of failing."""

from webhook_delivery.patience import TooSlow, patience

__all__ = ["TooSlow", "patience"]
