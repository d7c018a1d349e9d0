"""Finds what is due, for whom, at a cost that does not grow with what is owed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connections
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.lookups import In

from webhook_delivery.clock import Now
from webhook_delivery.lifecycle import skipping
from webhook_delivery.models import (
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    EndpointQuerySet,
    Event,
    Lane,
)
from webhook_delivery.models.lane import blocked, paced
from webhook_delivery.sharing import Due

VIEW = 200
"""How many rows one look sees from each end of the line."""
MANY = 64
"""So many endpoints are not all locked to find out which of them are blocked."""
TURN = 500
"""How many endpoints are asked at once whether anything is due to them."""
TURN_SECONDS = 0.25
"""How often they are asked, as long as what is seen at the ends is enough to do."""
ORDER = "state", "due_at"
REVERSE = "-state", "-due_at"
OWN_ORDER = "endpoint_id", "state", "due_at"
ON = Endpoint.State.ON
NOBODY = 0
"""No endpoint has this number."""
FEW = 4
"""Of so many endpoints at most it is looked at once what is due to each."""


@dataclass
class Look:
    """
    What one drain sees of what is due.

    If that cannot be seen at once, then some: what is due longest, what fell due last, and the
    first of each of some endpoints, which are others the next time. So, however many rows are
    owed to endpoints that may not be sent anything now, they hide nobody else's for long.
    """

    using: str
    event: Event | None = None
    """If given, only its deliveries are looked for."""
    regardless: bool = False
    """Whether an endpoint's state and limits do not count: a person waits for this one."""
    turned_to: int = 0
    turned: float = 0.0
    in_vain: bool = True
    whole: bool = False
    """Whether this round of turns began with the first endpoint, and has been in vain so far."""
    complete: bool = True
    """Whether all that is due has been seen, or every endpoint has had its turn in vain."""

    def due(self, places: int) -> list[Due]:
        """What is due to endpoints that are not blocked; for so many places."""
        rows = self._rows()
        oldest = _seen(rows, *ORDER)
        if len(oldest) < VIEW or self.event:
            self.turned_to, self.complete = 0, True
            return self._unblocked(oldest, places)
        ends = [*oldest, *_seen(rows, *REVERSE)]
        turn = self._turn_is_due()
        hidden = self._hidden(ends) if turn else []
        self.complete = self.whole and self.turned_to == 0 if turn else self._was_in_vain()
        seen = {due.pk: due for due in (*ends, *hidden)}
        return self._unblocked(list(seen.values()), places)

    def again(self, endpoints: Iterable[int]) -> list[Due]:
        """What has been due longest to each of these; of each as much as one look sees."""
        rows = self._rows()
        return [due for pk in endpoints for due in _seen(self._to(pk, rows), *OWN_ORDER)]

    def led_to(self, claims: Sequence[object], *, parked: bool) -> None:
        """
        Remember whether the look was in vain: then the next one goes on with the turns.

        parked: whether some were made to wait for their turn; there may be others behind them.
        """
        self.in_vain = not claims
        self.complete = self.complete and not parked
        self.whole = self.whole and self.in_vain

    def _rows(self) -> DeliveryQuerySet:
        rows = Delivery.objects.using(self.using).pending_by_index().filter(due_at__lte=Now())
        return rows.filter(event=self.event) if self.event else rows

    def _turn_is_due(self) -> bool:
        """At once, if the last look was in vain, but for a whole round; else now and then."""
        again = self.in_vain and not self.complete
        return again or time.monotonic() >= self.turned + TURN_SECONDS

    def _was_in_vain(self) -> bool:
        return self.complete and self.in_vain

    def _hidden(self, ends: list[Due]) -> list[Due]:
        """The firsts of this turn; and of some that are not seen at the ends, what follows."""
        firsts = self._firsts()
        hidden = list({due.endpoint for due in firsts} - {due.endpoint for due in ends})
        random.shuffle(hidden)
        return [*firsts, *self.again(hidden[:FEW])]

    def _unblocked(self, seen: list[Due], places: int) -> list[Due]:
        """Without those of endpoints that may be sent nothing now, if not all can be locked."""
        endpoints = {due.endpoint for due in seen}
        if len(endpoints) <= min(places, MANY):
            return seen
        lanes = Lane.objects.using(self.using).values_list("pk", flat=True)
        full = lanes.filter(blocked()).union(lanes.filter(paced()), all=True)
        switched = Endpoint.objects.using(self.using).filter(pk__in=endpoints).exclude(state=ON)
        closed = {*full, *switched.values_list("pk", flat=True)}
        return [due for due in seen if due.endpoint not in closed]

    def _firsts(self) -> list[Due]:
        """The first that is due to each of the endpoints whose turn it is."""
        self.turned = time.monotonic()
        self.whole = self.whole or self.turned_to == 0
        asked = Endpoint.objects.using(self.using).on().filter(pk__gt=self.turned_to)
        turn = self._first_to(asked.order_by("pk"))
        self.turned_to = turn[-1][0] if len(turn) == TURN else 0
        firsts = [first for _, first in turn if first]
        rows = Delivery.objects.using(self.using).filter(pk__in=firsts)
        return _seen(rows, "due_at", most=TURN) if firsts else []

    def _first_to(self, endpoints: EndpointQuerySet) -> list[tuple[int, int | None]]:
        """The first of them, so many as one turn asks, and what is due first to each."""
        if connections[self.using].vendor == "mysql":
            turn = list(endpoints.values_list("pk", flat=True)[:TURN])
            found = skipping.firsts(self._rows().filter(endpoint__in=turn)) if turn else {}
            return [(pk, found.get(pk)) for pk in turn]
        first = self._to(OuterRef("pk"), self._rows()).order_by(*OWN_ORDER)
        asked = endpoints.annotate(first=Subquery(first.values("pk")[:1]))
        return list(asked.values_list("pk", "first")[:TURN])

    def _to(self, endpoint: int | OuterRef, rows: DeliveryQuerySet) -> DeliveryQuerySet:
        """
        What is due to one endpoint, to be read in `OWN_ORDER`: by the endpoint's own index.

        PostgreSQL may believe that the first to one endpoint is soon found among all by their due
        times; that of one of two, it does not.
        """
        if connections[self.using].vendor != "postgresql":
            return rows.filter(endpoint=endpoint)
        return rows.filter(In(F("endpoint_id"), [endpoint, Value(NOBODY)]))


def _seen(rows: DeliveryQuerySet, *order: str, most: int = VIEW) -> list[Due]:
    columns = rows.order_by(*order).values_list("pk", "endpoint_id", "attempts_made", "sequence")
    return [Due(pk, to, not made, sequence) for pk, to, made, sequence in columns[:most]]
