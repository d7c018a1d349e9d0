"""What projects' own templates ask for: what was told of a row, and to whom."""

from __future__ import annotations

from django import template
from django.db.models import Model

from webhook_delivery import relating
from webhook_delivery.models import Delivery

register = template.Library()


@register.filter
def webhook_deliveries(row: Model) -> list[Delivery]:
    """The deliveries of the events about a row: `{{ order|webhook_deliveries }}`, oldest first."""
    return relating.deliveries_of([row])[row.pk] if row.pk is not None else []
