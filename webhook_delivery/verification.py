"""Compares all deliveries with their logs, beside a system at work, and mends those that differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from django.db.models import Q

from webhook_delivery import doorbell, lifecycle, logbook
from webhook_delivery.judging import Discrepancy, Judgement, judge
from webhook_delivery.locking import insist
from webhook_delivery.logbook import Told
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint

State = Delivery.State

STRAYS = 5_000
"""How many deliveries whose endpoint was switched without them are looked at together."""
LOOKS, PAUSE_SECONDS = 3, 0.5
"""Who switches an endpoint is soon done with what it is owed: so many looks must agree."""


def verify(
    *, using: str, repair: bool = False, told: Told = lambda count: None
) -> Iterator[Discrepancy]:
    """
    Say in what deliveries differ from what their logs add up to; with `repair`, mend it.

    What seems to differ is looked at again under a lock, so that work going on raises no alarm.
    told: hears how many more deliveries have been looked at.
    """
    for batch in logbook.batches(Delivery.objects.using(using)):
        for recorded in batch:
            if judge(recorded).discrepancies:
                yield from _look_again(recorded.row.pk, using, repair)
        told(len(batch))
    yield from _verify_strays(using, repair)


def mend(delivery: int, judgement: Judgement, *, using: str) -> list[Discrepancy]:
    """Do what the judgement says would mend the delivery, whose row is locked."""
    logbook.add(delivery, judgement.additions, using=using)
    if judgement.changes:
        lifecycle.mend(delivery, using=using, **judgement.changes)
        doorbell.ring_on_commit(using=using)
    return [replace(each, mended=True) for each in judgement.discrepancies]


def _look_again(delivery: int, using: str, repair: bool) -> list[Discrepancy]:
    return insist(partial(_look_locked, delivery, using, repair), using=using)


def _look_locked(delivery: int, using: str, repair: bool) -> list[Discrepancy]:
    recorded = logbook.read_locked(delivery, using=using)
    judgement = judge(recorded) if recorded else Judgement([])
    if repair and judgement.mendable:
        return mend(delivery, judgement, using=using)
    return judgement.discrepancies


def _verify_strays(using: str, repair: bool) -> Iterator[Discrepancy]:
    """Pending or held against what the endpoint says: its log knows nothing of that."""
    last = 0
    while ids := _ids(_strays(using).filter(pk__gt=last)):
        last = ids[-1]
        for chunk in _chunks(_lingering(ids, using)):
            yield from insist(partial(_settle_strays, chunk, using, repair), using=using)


def _lingering(ids: list[int], using: str) -> list[int]:
    """Those that are still strays once they no longer become fewer."""
    agreed = 0
    while ids and agreed < LOOKS:
        time.sleep(PAUSE_SECONDS)
        left = [pk for chunk in _chunks(ids) for pk in _ids(_strays(using).filter(pk__in=chunk))]
        agreed = agreed + 1 if left == ids else 0
        ids = left
    return ids


def _settle_strays(ids: list[int], using: str, repair: bool) -> list[Discrepancy]:
    strays = _strays(using).filter(pk__in=ids)
    found = [_astray(*each, repair) for each in strays.order_by("pk").values_list("pk", "state")]
    if repair:
        lifecycle.hold(strays.pending())
        lifecycle.release(strays.held())
        doorbell.ring_on_commit(using=using)
    return found


def _astray(delivery: int, state: str, mended: bool) -> Discrepancy:
    held = "held, for its endpoint is not on"
    expected = "pending, for its endpoint is on" if state == State.HELD else held
    return Discrepancy(delivery, "state", state, expected, mended)


def _strays(using: str) -> DeliveryQuerySet:
    on = Q(endpoint__state=Endpoint.State.ON)
    pending, held = Q(state=State.PENDING), Q(state=State.HELD)
    return Delivery.objects.using(using).filter(pending & ~on | held & on)


def _ids(deliveries: DeliveryQuerySet) -> list[int]:
    return list(deliveries.order_by("pk").values_list("pk", flat=True)[:STRAYS])


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[n : n + logbook.BATCH] for n in range(0, len(ids), logbook.BATCH))
