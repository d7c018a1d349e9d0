"""Takes due deliveries for one worker: the writing half of a claim."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

from django.db.models import F

from webhook_delivery.claims import Claim, lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.loading import load
from webhook_delivery.locking import pick
from webhook_delivery.models import Delivery, DeliveryQuerySet

RACES = 5
"""How often a claim tries again, when others took what it had picked."""


def take(wanted: DeliveryQuerySet, limit: int, lost: int) -> tuple[list[int], list[Claim]]:
    """Claim some of the wanted: which were picked, and which of them nobody else took."""
    token, asked = uuid.uuid4(), time.monotonic()
    picked = pick(wanted, limit, lost=lost)
    rows = Delivery.objects.using(wanted.db).filter(pk__in=picked)
    # Not `wanted`: its look at the endpoints would lock them on MySQL, against whoever pauses one.
    taken = picked and rows.pending().filter(due_at__lte=Now()).update(
        state=Delivery.State.SENDING,
        claim=token,
        due_at=Now() + timedelta(seconds=lease_seconds()),
        attempts_made=F("attempts_made") + 1,
    )
    mine = rows.sending().filter(claim=token)
    return picked, load(mine, expected=taken, leased=asked) if taken else []
