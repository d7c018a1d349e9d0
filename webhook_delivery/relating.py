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
        row = cast(Model, self)
        return Event.objects.db_manager(hints={"instance": row}).about(*_saved(row))

    @property
    def webhook_deliveries(self) -> DeliveryQuerySet:
        """The deliveries of these events, each with its event (without the body) and endpoint."""
        row = cast(Model, self)
        return _deliveries(row).about(*_saved(row))


def deliveries_of(rows: Iterable[Model]) -> dict[Any, list[Delivery]]:
    """
    The deliveries of many rows of one model, by their primary keys, in one query; oldest first.

    A row of which nothing was told has an empty list. For lists and serializers of many.
    """
    rows = list(rows)
    told = {name: row.pk for row in rows for name in references_of([row])}
    found: dict[Any, list[Delivery]] = {pk: [] for pk in told.values()}
    for delivery in _deliveries(rows[0]).about(*told).order_by("pk") if told else ():
        found[told[delivery.event.source]].append(delivery)
    return found


def _deliveries(row: Model) -> DeliveryQuerySet:
    """Where what is told of the row is written: routers are asked as for whatever belongs to it."""
    rows: DeliveryQuerySet = Delivery.objects.db_manager(hints={"instance": row}).all()
    return rows.select_related("event", "endpoint").defer("event__body")


def _saved(row: Model) -> list[Model]:
    return [] if row.pk is None else [row]
