"""Follows attempts as they are recorded, by their numbers: one look into an index each time."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime

from webhook_delivery.models import Attempt

GRACE_SECONDS = 3.0
"""So late a number may still appear below those that were seen: its transaction took longer."""
AT_ONCE = 1_000


class Follower:
    """Says of each attempt once that it is there; the first ones are those after `since`."""

    def __init__(self, *, using: str, since: datetime | None = None) -> None:
        self._rows = Attempt.objects.using(using).order_by("pk")
        self._history = self._last()
        self._floor = self._history if since is None else self._last_before(since)
        self._seen: set[int] = set()
        """Those above the floor that were told."""
        self._reached: deque[tuple[float, int]] = deque()

    def new(self) -> list[Attempt]:
        """Those that have appeared since it was last asked, at most so many, in their order."""
        fresh = self._rows.filter(pk__gt=self._floor).exclude(pk__in=self._seen)
        found = list(fresh[:AT_ONCE])
        if found:
            self._seen |= {each.pk for each in found}
            self._reached.append((time.monotonic(), found[-1].pk))
            self._floor = max(self._floor, min(found[-1].pk, self._history))
        self._forget(time.monotonic())
        return found

    def _forget(self, now: float) -> None:
        """Nothing appears any more below what was reached a while ago."""
        while self._reached and self._reached[0][0] < now - GRACE_SECONDS:
            self._floor = max(self._floor, self._reached.popleft()[1])
        self._seen = {pk for pk in self._seen if pk > self._floor}

    def _last(self) -> int:
        return self._rows.values_list("pk", flat=True).last() or 0

    def _last_before(self, moment: datetime) -> int:
        """By halves: numbers are in the order of time, near enough, and there is no index of it."""
        low, high = 0, self._history
        while low < high:
            middle = (low + high) // 2
            begun = self._rows.filter(pk__gt=middle).values_list("started_at", flat=True).first()
            if begun is not None and begun < moment:
                low = middle + 1
            else:
                high = middle
        return low
