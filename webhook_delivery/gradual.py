"""Sends again, bit by bit, what a queryset says: its words become what the redelivery keeps."""

from __future__ import annotations

from typing import Any

from webhook_delivery import batches
from webhook_delivery.models import Delivery, DeliveryQuerySet, RedeliveryBatch
from webhook_delivery.selecting import selection_of

MOST = 10_000
"""So many can be kept by their numbers: they are read again each time that some of it are sent."""


class TooMany(ValueError):
    """These cannot be kept by number, nor by what was said of them; the message says what can."""


def redeliver(deliveries: DeliveryQuerySet, **how: Any) -> RedeliveryBatch:
    """
    Begin to send these again; `how` as `batches.start` takes it, but with retries unless `once`.

    What was narrowed by sentences alone (`dead()`, `for_endpoint(e)`) is kept as these words; of
    anything else, the numbers are. Raises TooMany, InvalidSelection for words that make no sense
    (only what is dead or delivered can be sent again), and what `batches.start` raises.
    """
    rows = deliveries.on_primary()
    said = {"ids": _numbers(rows)} if rows.said is None else rows.said
    selection = selection_of(**{"state": Delivery.REDELIVERABLE, **said})
    return batches.start(selection, using=rows.db, **{"once": False, **how})


def _numbers(rows: DeliveryQuerySet) -> list[int]:
    ids = list(rows.values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        raise TooMany(
            f"More than {MOST} deliveries were chosen in a way that cannot be kept. Choose them "
            "by dead(), for_endpoint(), for_tenant(), of_type(), because(), with_status(), "
            "since(), until(), about() or of_batch(), each once; or choose fewer."
        )
    return ids
