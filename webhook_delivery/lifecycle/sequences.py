"""Order, where it was asked for: who stands behind another waits until that one has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter

from django.db.models import OuterRef, Subquery

from webhook_delivery.claims import Claim
from webhook_delivery.clock import Now
from webhook_delivery.lifecycle.changing import CHUNK
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, DeliveryQuerySet
from webhook_delivery.sharing import Due

State = Delivery.State
UNFINISHED = [State.PENDING, State.HELD, State.SENDING]

OWN = 0
"""The one sequence of an ordered endpoint."""
SEQUENCES = 2**63 - 1
"""How many there are besides."""


def sequence_of(ordered: bool, key: str) -> int | None:
    """
    In which sequence an event with that key is owed to an endpoint; None: in none.

    ordered: whether the endpoint is.
    key: the same one is the same sequence in every process and for ever; two whose hashes are equal
        would only wait for each other.
    """
    if ordered:
        return OWN
    if not key:
        return None
    return 1 + int.from_bytes(blake2b(key.encode(), digest_size=16).digest(), "big") % SEQUENCES


def foremost(seen: Sequence[Due], *, using: str) -> list[Due]:
    """
    Those that nobody stands before; the rest is made to wait, not to be seen again in vain.

    Only for endpoints whose lanes are locked: else one could end just when another begins to wait.
    """
    lined_up = [due.pk for due in seen if due.sequence is not None]
    if not lined_up:
        return list(seen)
    rows = Delivery.objects.using(using).fallen_due().filter(pk__in=lined_up)
    behind = [pk for pk, free in _free(rows) if not free]
    if behind:
        rows.filter(pk__in=behind).update(due_at=None)
    parked = set(behind)
    return [due for due in seen if due.pk not in parked]


def move_up(claims: Iterable[Claim], *, using: str) -> int:
    """
    Make due who stands behind those whose claims have ended. Returns how many.

    Only while the lanes of their endpoints are locked: who begins to wait meanwhile is not seen.
    """
    ids = [claim.delivery_id for claim in claims if claim.in_order]
    if not ids:
        return 0
    rows = Delivery.objects.using(using).filter(pk__in=ids)
    following = rows.annotate(following=_first(State.PENDING)).values_list("following", flat=True)
    return _make_due({pk for pk in following if pk}, using)


def mend(*, using: str) -> int:
    """The same for all: who was before may have ended otherwise than by an attempt."""
    return sum(
        insist(partial(_make_due, waiting, using), using=using) for waiting in _firsts(using)
    )


def first_before(delivery: Delivery) -> Delivery | None:
    """The one that must end before a pending delivery's turn can come; None if it need not wait."""
    if delivery.state != State.PENDING or delivery.sequence is None:
        return None
    rows = Delivery.objects.using(delivery._state.db)
    firsts = {f"first_{state}": _first(state) for state in UNFINISHED}
    for pending, held, sending in rows.filter(pk=delivery.pk).values_list(*firsts.values()):
        before = sending or min(filter(None, (pending, held)), default=delivery.pk)
        return rows.filter(pk=before).exclude(pk=delivery.pk).first()
    return None


def _firsts(using: str) -> Iterator[list[int]]:
    """Who is the first pending in its sequence, and waits; read past all that stand behind it."""
    rows = Delivery.objects.using(using).pending().filter(sequence__gte=OWN)
    ordered = rows.order_by("endpoint_id", "sequence", "pk")
    columns = ordered.values_list("endpoint_id", "sequence", "pk", "due_at")
    endpoint, sequence = 0, OWN - 1
    while page := list(columns.filter(endpoint=endpoint, sequence__gt=sequence)[:CHUNK]) or list(
        columns.filter(endpoint__gt=endpoint)[:CHUNK]
    ):
        firsts = [next(rows) for _, rows in groupby(page, key=itemgetter(0, 1))]
        yield [pk for *_, pk, due in firsts if due is None]
        endpoint, sequence = page[-1][0], page[-1][1] or OWN


def _make_due(waiting: Collection[int], using: str) -> int:
    """Those of them that nobody stands before."""
    if not waiting:
        return 0
    rows = Delivery.objects.using(using).pending().filter(due_at=None, pk__in=waiting)
    ids = [pk for pk, free in _free(rows) if free]
    return rows.filter(pk__in=ids).update(due_at=Now()) if ids else 0


def _free(rows: DeliveryQuerySet) -> list[tuple[int, bool]]:
    """Of rows that are pending, whether none of their sequence is older and waits, or is sent."""
    firsts = {f"first_{state}": _first(state) for state in UNFINISHED}
    columns = rows.annotate(**firsts).values_list("pk", *firsts)
    return [
        (pk, pending == pk and (held is None or pk < held) and sending is None)
        for pk, pending, held, sending in columns
    ]


def _first(state: State) -> Subquery:
    """
    The first in that state, of the outer row's sequence.

    The sequence is given as a range: for one value of it, PostgreSQL may think that the first by
    number is soon found among all deliveries.
    """
    same = Delivery.objects.filter(endpoint=OuterRef("endpoint"), state=state)
    within = same.filter(sequence__gte=OuterRef("sequence"), sequence__lte=OuterRef("sequence"))
    return Subquery(within.order_by("sequence", "pk").values("pk")[:1])
