"""Deletes deliveries that ended long ago, with their logs, and the events that are left bare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Q

from webhook_delivery import retention
from webhook_delivery.locking import can_skip
from webhook_delivery.models import Attempt, Delivery, Transition
from webhook_delivery.pruning.deleting import CHUNK, apart, delete
from webhook_delivery.pruning.events import bury
from webhook_delivery.pruning.tally import Tally

MOST_ATTEMPTS = 5_000
"""How many attempts one statement deletes, unless a single delivery has had more."""

Found = tuple[datetime, int, int]
"""When a delivery ended, its number, and how many attempts it had."""


class Deliveries:
    """Those that ended in one state, the longest ago first."""

    def __init__(self, state: str, using: str) -> None:
        self._state, self._using = state, using
        self._after: Found | None = None
        """What is behind us: gone, or not to be had this time."""

    def bite(self, tally: Tally) -> bool:
        found = list(_few(self._next()))
        if not found:
            return False
        self._after = found[-1]
        apart(self._delete, [pk for _, pk, _ in found], tally, using=self._using)
        return True

    def _next(self) -> list[Found]:
        rows = retention.deliveries(self._state, using=self._using)
        if self._after:
            at, number, _ = self._after
            rows = rows.filter(Q(ended_at__gt=at) | Q(pk__gt=number), ended_at__gte=at)
        columns = rows.order_by("ended_at", "pk").values_list("ended_at", "pk", "attempts_made")
        return [(at, pk, made) for at, pk, made in columns[:CHUNK] if at is not None]

    def _delete(self, ids: Sequence[int]) -> dict[str, int]:
        """
        Delete those that nobody else has in hand: another run, or who redelivers them just now.

        The log goes first, then what it belongs to, then the events: as whoever else locks them.
        """
        rows = retention.deliveries(self._state, using=self._using).filter(pk__in=ids)
        locked = rows.order_by("pk").select_for_update(skip_locked=can_skip(self._using))
        mine = dict(locked.values_list("pk", "event_id"))
        logs = {"delivery__in": list(mine)}
        attempts = delete(Attempt.objects.using(self._using).filter(**logs).order_by())
        delete(Transition.objects.using(self._using).filter(**logs).order_by())
        gone = delete(Delivery.objects.using(self._using).filter(pk__in=list(mine)))
        buried = bury(sorted(set(mine.values())), using=self._using)
        return {"deliveries": gone, "attempts": attempts, **buried}


def _few(found: list[Found]) -> Iterator[Found]:
    """As many of them as have not too many attempts together, and one at least."""
    attempts = 0
    for number, each in enumerate(found):
        attempts += each[2]
        if number and attempts > MOST_ATTEMPTS:
            return
        yield each
