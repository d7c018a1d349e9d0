"""Publishes what becomes of deliveries and endpoints, as events, to the operators' endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from django.db import InterfaceError, OperationalError
from django.dispatch import Signal, receiver

from webhook_delivery import operational
from webhook_delivery.composing import NewEvent
from webhook_delivery.conf import settings
from webhook_delivery.locking import once
from webhook_delivery.logs import log_of
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.models.event import webhook_id
from webhook_delivery.notifying import Told, along, in_json
from webhook_delivery.publishing import publish_many
from webhook_delivery.signals import (
    batch_finished,
    delivery_dead,
    endpoint_disabled,
    endpoint_recovered,
    endpoint_warned,
)

logger = log_of(__name__)

Said = Iterator[tuple[str, Any]]
"""Types of events, and their data."""


@receiver(along)
def inform(what: Signal, told: Told, using: str, **kwargs: Any) -> None:
    """
    Publish in the transaction that makes the change, if `OPERATIONAL_TENANT` asks for it.

    Nothing is told of the operators' own endpoints, or of what those are owed: who fails to hear
    that something failed would be told of that, without end.
    """
    if not settings.OPERATIONAL_TENANT or what not in SAYING:
        return
    try:
        once(partial(_publish, SAYING[what], told, using), using=using)
    except (OperationalError, InterfaceError):
        raise  # whoever owns the transaction begins it again
    except Exception:
        logger.exception("What happened could not be published to operators: %s", told)


def _publish(say: Callable[[Told, str], Said], told: Told, using: str) -> None:
    tenant = settings.OPERATIONAL_TENANT or ""
    publish_many([NewEvent(*said, tenant=tenant) for said in say(told, using)], using=using)


def _of_endpoints(event_type: str, told: Told, using: str) -> Said:
    rows = Endpoint.objects.using(using).filter(pk__in=told)
    for row in rows.exclude(tenant=settings.OPERATIONAL_TENANT).order_by("pk"):
        yield event_type, {"endpoint": _named(row), **in_json(told[row.pk])}


def _of_dead(told: Told, using: str) -> Said:
    """But of tests: a person is waiting for each of those."""
    rows = Delivery.objects.using(using).select_related("endpoint").filter(pk__in=told)
    others = rows.exclude(endpoint__tenant=settings.OPERATIONAL_TENANT).order_by("pk")
    for row in others.exclude(trigger=Delivery.Trigger.TEST):
        yield operational.DEAD, _dead(row)


def _of_batches(told: Told, using: str) -> Said:
    for pk, facts in told.items():
        yield operational.FINISHED, {"redelivery": pk, **facts}


def _dead(row: Delivery) -> Mapping[str, Any]:
    return {
        "delivery": row.pk,
        "webhook_id": webhook_id(row.event_id),
        "event_type": row.event_type,
        "endpoint": _named(row.endpoint),
        "attempts": row.attempts_made,
        "reason": row.reason,
        "status": row.last_status,
    }


def _named(endpoint: Endpoint) -> Mapping[str, Any]:
    """Without its URL, where tokens live."""
    return {"id": endpoint.pk, "name": endpoint.name, "tenant": endpoint.tenant}


SAYING: Mapping[Signal, Callable[[Told, str], Said]] = {
    endpoint_warned: partial(_of_endpoints, operational.WARNED),
    endpoint_disabled: partial(_of_endpoints, operational.DISABLED),
    endpoint_recovered: partial(_of_endpoints, operational.RECOVERED),
    delivery_dead: _of_dead,
    batch_finished: _of_batches,
}
