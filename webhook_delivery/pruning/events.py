"""Deletes events of which nothing is left to tell, and empties bodies: by walks through them."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from webhook_delivery import retention
from webhook_delivery.clock import Now
from webhook_delivery.locking import can_skip
from webhook_delivery.models import Event, SearchKey, Walk
from webhook_delivery.models.event import first_at
from webhook_delivery.pruning.deleting import CHUNK, apart, delete
from webhook_delivery.pruning.tally import Tally

ROUND = timedelta(days=1)
"""How often a walk begins anew with the oldest."""


class Strolling(ABC):
    """
    A walk through the events in the order of their ids, which is that of time.

    It remembers how far it is, so that nothing is looked at again and again that has to stay.
    """

    name: str

    def __init__(self, using: str) -> None:
        self.using = using

    @abstractmethod
    def span(self) -> timedelta | None:
        """How old an event must be, at least; None: none ever is old enough."""

    @abstractmethod
    def act(self, ids: Sequence[uuid.UUID]) -> dict[str, int]:
        """Do what is to be done, and say how often."""

    def bite(self, tally: Tally) -> bool:
        span = self.span()
        if span is None:
            return False
        Walk.objects.using(self.using).get_or_create(pk=self.name)
        reached, began, now = self._row().values_list("reached", "began_at", Now()).get()
        ids = self._ahead(reached, now - span)
        if not ids:
            self._turn_back(began, now)
            return False
        apart(self.act, ids, tally, using=self.using)
        self._row().update(reached=ids[-1])
        return True

    def _ahead(self, reached: uuid.UUID | None, before: datetime) -> list[uuid.UUID]:
        events = Event.objects.using(self.using).filter(pk__lt=first_at(before))
        events = events.filter(pk__gt=reached) if reached else events
        return list(events.order_by("pk").values_list("pk", flat=True)[:CHUNK])

    def _turn_back(self, began: datetime, now: datetime) -> None:
        """Begin anew, now and then: some had to stay the last time."""
        if began < now - ROUND:
            self._row().update(reached=None, began_at=Now())

    def _row(self) -> QuerySet[Walk]:
        return Walk.objects.using(self.using).filter(pk=self.name)


class Events(Strolling):
    """Of which no delivery is left, or never was one."""

    name = "events"

    def span(self) -> timedelta | None:
        return retention.kept_events()

    def act(self, ids: Sequence[uuid.UUID]) -> dict[str, int]:
        return bury(ids, using=self.using)


class Bodies(Strolling):
    """Of events that are kept longer than their bodies."""

    name = "bodies"

    def span(self) -> timedelta | None:
        return retention.kept_bodies()

    def act(self, ids: Sequence[uuid.UUID]) -> dict[str, int]:
        """Who redelivers one of them locks it, too: either there is a body, or no redelivery."""
        ready = retention.bodies(using=self.using).filter(pk__in=ids).order_by("pk")
        locked = ready.select_for_update(skip_locked=can_skip(self.using))
        mine = list(locked.values_list("pk", flat=True))
        still = retention.bodies(using=self.using).filter(pk__in=mine)
        return {"bodies": still.update(body=b"", pruned_at=Now())}


def bury(ids: Sequence[uuid.UUID], *, using: str) -> dict[str, int]:
    """
    Delete those of these events that are bare and old enough; their caller has a transaction.

    Where the idempotency key is still to be kept, the row stays, without its body.
    """
    bare = retention.bare_events(using=using).filter(pk__in=ids).order_by("pk")
    locked = list(bare.select_for_update().values_list("pk", flat=True))
    if not locked:
        return {}
    # Asked again, now that nobody can owe them to anybody.
    free = retention.unprotected(retention.bare_events(using=using).filter(pk__in=locked))
    rows = list(free.defer("body").annotate(now=Now()))
    needless = [row.pk for row in rows if not retention.needs_key(row, now=vars(row)["now"])]
    gone = set(needless)
    stubs = [row.pk for row in rows if row.pk not in gone and not row.hollow]
    delete(SearchKey.objects.using(using).filter(event__in=[*needless, *stubs]))
    deleted = delete(Event.objects.using(using).filter(pk__in=needless))
    kept = Event.objects.using(using).filter(pk__in=stubs)
    return {"events": deleted, "bodies": kept.update(body=b"", pruned_at=Now()) if stubs else 0}
