"""Leads from a row of the project's own models to what was told of it, and to whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.db.models import Model

from webhook_delivery.models import Delivery, DeliveryQuerySet, Event, EventQuerySet
from webhook_delivery.references import references_of


class TellsWebhooks:
    """
    Lets a model's rows be asked for their events: `class Order(TellsWebhooks, models.Model)`.

    It adds no column: events say what they are about. Of a row that was never saved, nothing was
    told.
    """

    @property
    def webhook_events(self) -> EventQuerySet:
        """The events about this row, of whatever type."""
        return Event.objects.about(*_saved(self))

    @property
    def webhook_deliveries(self) -> DeliveryQuerySet:
        """The deliveries of these events, each with its event (without the body) and endpoint."""
        return _deliveries().about(*_saved(self))


def deliveries_of(rows: Iterable[Model]) -> dict[Any, list[Delivery]]:
    """
    The deliveries of many rows of one model, by their primary keys, in one query; oldest first.

    A row of which nothing was told has an empty list. For lists and serializers of many.
    """
    told = {name: row.pk for row in rows for name in references_of([row])}
    found: dict[Any, list[Delivery]] = {pk: [] for pk in told.values()}
    for delivery in _deliveries().about(*told).order_by("pk") if told else ():
        found[told[delivery.event.source]].append(delivery)
    return found


def _deliveries() -> DeliveryQuerySet:
    return Delivery.objects.select_related("event", "endpoint").defer("event__body")


def _saved(row: Any) -> list[Model]:
    return [] if row.pk is None else [cast(Model, row)]
