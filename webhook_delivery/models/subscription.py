"""What an endpoint wants to hear of."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.endpoint import Endpoint
from webhook_delivery.validation import validate_pattern


class Subscription(models.Model):
    """What an endpoint wants to hear of: an event type, `order.*`, or `*`."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="subscriptions")
    pattern = models.CharField(
        _("event type or pattern"), max_length=200, validators=[validate_pattern]
    )

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(
                fields=["pattern", "endpoint"], name="webhook_subscription_unique"
            )
        ]

    def __str__(self) -> str:
        return self.pattern
