"""Tells what has happened: along with it, what must commit with it; after it, who listens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal

from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.signals import batch_finished, delivery_dead, delivery_succeeded

logger = log_of(__name__)

Told = Mapping[int, Mapping[str, Any]]
"""What is told of each row, besides the row, by its number."""

along = Signal()
"""
Sent inside of the transaction that makes a change, for what is to commit with it: within the app
only, for what a receiver raises undoes the change.

what: the public signal that tells it once it has been committed. told: of which rows, and what.
"""


def of_delivered(deliveries: Told, *, using: str) -> None:
    """Tell that these have arrived, when the transaction commits."""
    _on_commit(delivery_succeeded, deliveries, using)


def of_dead(deliveries: Told, *, using: str) -> None:
    """Tell that these have died, each with its `reason`, when the transaction commits."""
    _on_commit(delivery_dead, deliveries, using)


def of_endpoint(signal: Signal, endpoint: int, *, using: str, **told: Any) -> None:
    """Tell that something has happened to an endpoint, when the transaction commits."""
    _along(signal, {endpoint: told}, using)
    if not signal.has_listeners(Endpoint):
        return

    def tell() -> None:
        for row in Endpoint.objects.using(using).filter(pk=endpoint):
            _send(signal, Endpoint, using, endpoint=row, **told)

    transaction.on_commit(tell, using=using, robust=True)


def of_batch(batch: RedeliveryBatch, *, using: str) -> None:
    """Tell that a redelivery of many is done, when the transaction commits."""
    _along(batch_finished, {batch.pk: {"sent": batch.sent, "left": batch.left}}, using)

    def tell() -> None:
        _send(batch_finished, RedeliveryBatch, using, batch=batch)

    transaction.on_commit(tell, using=using, robust=True)


def _on_commit(signal: Signal, deliveries: Told, using: str) -> None:
    """Ask the database for nothing if nobody listens, and once for all of them if somebody does."""
    _along(signal, deliveries, using)
    if not deliveries or not signal.has_listeners(Delivery):
        return

    def tell() -> None:
        rows = Delivery.objects.using(using).select_related("event", "endpoint")
        found = rows.defer("event__body").in_bulk(deliveries)
        for pk in sorted(found):
            _send(signal, Delivery, using, delivery=found[pk], **deliveries[pk])

    transaction.on_commit(tell, using=using, robust=True)


def in_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a row as JSON has it: moments are texts."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in facts.items()
    }


def _along(signal: Signal, told: Told, using: str) -> None:
    if told:
        along.send(None, what=signal, told=told, using=using)


def _send(signal: Signal, sender: type[Model], using: str, **told: Any) -> None:
    """Django logs what a receiver raises; unless it has no name, as a `partial` has none."""
    try:
        signal.send_robust(sender, using=using, **told)
    except Exception:
        about = {"delivery": getattr(told.get("delivery"), "pk", None)}
        said = "A receiver of a signal failed; others may not have been told: %s"
        logger.exception(said, told, extra=about)
