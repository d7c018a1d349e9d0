"""Takes due deliveries for one worker: the writing half of a claim."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count, F

from webhook_delivery.claims import Claim, lease_seconds
from webhook_delivery.clock import Now, elapsed
from webhook_delivery.conf import settings
from webhook_delivery.lifecycle import lanes, sequences
from webhook_delivery.lifecycle.looking import FEW, Look
from webhook_delivery.loading import Row, load, reached, rows_of, with_secrets
from webhook_delivery.locking import can_skip
from webhook_delivery.models import Delivery, Endpoint, EndpointQuerySet
from webhook_delivery.pacing import Traffic, allowance, believed, paced
from webhook_delivery.sharing import Due, seat, share

RACES = 5
"""How often a claim tries again, when others took what it had seen."""

Room = Callable[[int], int]
"""How many more an endpoint may be given by this worker."""


class Taken(NamedTuple):
    """What came of one try."""

    claims: list[Claim]
    again: bool
    """Whether to look again, because others were faster."""
    parked: bool
    """Whether some were due, and now wait for their turn."""


NOTHING = Taken([], again=False, parked=False)


def take(
    look: Look, seen: Sequence[Due], places: int, room: Room, *, using: str, lost: int
) -> Taken:
    """
    Claim some of what was seen, for endpoints that may be sent more now.

    lost: how often others were faster; then this waits for its turn.
    """
    asked = elapsed()
    rooms = _rooms(seen, places, room)
    traffic = lanes.lock(rooms, using=using, wait=lost > 0) if rooms else {}
    unseen = len(traffic) < len(rooms) or (lost > 0 and len(traffic) > FEW)
    endpoints = _with_their_load(_open(traffic, look)) if traffic else {}
    seen = look.again(list(endpoints)[:FEW]) if lost else seen
    reachable = [due for due in seen if due.endpoint in endpoints]
    foremost = sequences.foremost(reachable, using=using)
    parked = len(foremost) < len(reachable)
    chosen = share(
        foremost,
        places,
        rooms=rooms if look.regardless else _within_limits(rooms, traffic, endpoints),
        held={pk: vars(endpoint)["in_flight"] for pk, endpoint in endpoints.items()},
    )
    if not chosen:
        return Taken([], unseen, parked)
    rows = _write([due.pk for due in chosen], using)
    _pace(rows, traffic, endpoints, using)
    doubted = {pk for pk, remembered in traffic.items() if remembered.failures}
    ailing = {pk for pk, each in traffic.items() if each.failing_since or each.warned_at}
    known = {"doubted": doubted, "ailing": ailing}
    claims = load(rows, endpoints, **known, leased=asked, using=using)
    return Taken(claims, not rows, parked)


def _rooms(seen: Sequence[Due], places: int, room: Room) -> dict[int, int]:
    """Some of the endpoints that something is due to, with the room this worker has for each."""
    rooms = {endpoint: room(endpoint) for endpoint in {due.endpoint for due in seen}}
    roomy = [due for due in seen if rooms[due.endpoint] > 0]
    return {endpoint: rooms[endpoint] for endpoint in seat(roomy, places)}


def _open(locked: Iterable[int], look: Look) -> EndpointQuerySet:
    """Those of the endpoints that are on; all of them for who asks regardless."""
    endpoints = Endpoint.objects.using(look.using).filter(pk__in=locked)
    return endpoints if look.regardless else endpoints.on()


def _with_their_load(locked: EndpointQuerySet) -> dict[int, Endpoint]:
    """
    The endpoints, with what all workers have in flight to each, after the lock.

    Counted for all of them together: a subquery for each may read all that is in flight anywhere.
    """
    endpoints = reached(with_secrets(locked))
    sending = Delivery.objects.using(locked.db).sending().filter(endpoint__in=list(endpoints))
    in_flight = dict(sending.order_by().values_list("endpoint").annotate(Count("pk")))
    for endpoint in endpoints.values():
        vars(endpoint)["in_flight"] = in_flight.get(endpoint.pk, 0)
    return endpoints


def _within_limits(
    rooms: dict[int, int], traffic: dict[int, Traffic], endpoints: dict[int, Endpoint]
) -> dict[int, int]:
    return {pk: min(rooms[pk], _allowed(traffic[pk], to)) for pk, to in endpoints.items()}


def _allowed(traffic: Traffic, endpoint: Endpoint) -> int:
    facts = vars(endpoint)
    return allowance(
        traffic,
        lanes.breaker(),
        in_flight=facts["in_flight"],
        at_most=1 if endpoint.ordered else endpoint.max_in_flight or settings.MAX_IN_FLIGHT,
        rate=endpoint.rate_per_second,
        now=facts["now"],
    )


def _write(chosen: Sequence[int], using: str) -> list[Row]:
    """Make them ours, those that nobody has changed meanwhile; the rows as they were, but ours."""
    deliveries = Delivery.objects.using(using)
    free = deliveries.fallen_due().filter(pk__in=chosen).order_by("pk")
    rows = rows_of(free.select_for_update(skip_locked=can_skip(using)))
    token = uuid.uuid4()
    pending = deliveries.pending().filter(pk__in=[row.pk for row in rows])
    changed = rows and pending.update(
        state=Delivery.State.SENDING,
        claim=token,
        due_at=Now() + timedelta(seconds=lease_seconds()),
        attempts_made=F("attempts_made") + 1,
    )
    if changed != len(rows):  # a database that locks no rows
        ours = set(deliveries.sending().filter(claim=token).values_list("pk", flat=True))
        rows = [row for row in rows if row.pk in ours]
    return [row._replace(claim=token, attempts_made=row.attempts_made + 1) for row in rows]


def _pace(
    rows: Sequence[Row], traffic: dict[int, Traffic], endpoints: dict[int, Endpoint], using: str
) -> None:
    """Count what was claimed against the rates, and forget pauses that were not believed."""
    longest = lanes.breaker().longest
    for endpoint, count in Counter(row.endpoint_id for row in rows).items():
        rate, now = endpoints[endpoint].rate_per_second, vars(endpoints[endpoint])["now"]
        after = believed(traffic[endpoint], longest, now)
        after = after if rate is None else paced(after, count, rate=rate, now=now)
        if after != traffic[endpoint]:
            lanes.remember(endpoint, after, using=using)
