"""Seals anew, with the newest key, all that is sealed; and tells for whom it cannot be opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from django.db.models import F, Model, QuerySet

from webhook_delivery import keys
from webhook_delivery.loading import reached, with_secrets
from webhook_delivery.locking import insist
from webhook_delivery.models import Endpoint, EndpointQuerySet, Secret

BATCH = 100
"""How many are sealed anew in one transaction, which takes some milliseconds."""


class Column(NamedTuple):
    """A column that holds what is sealed."""

    model: type[Model]
    owner: str
    """The column with the number of the endpoint that it is sealed for."""
    name: str
    optional: bool
    """Whether empty bytes stand for nothing."""

    def rows(self, using: str) -> QuerySet[Any]:
        rows = self.model._default_manager.using(using).order_by("pk")
        return rows.exclude(**{self.name: b""}) if self.optional else rows


COLUMNS = [
    Column(Secret, "endpoint_id", "sealed", optional=False),
    Column(Endpoint, "pk", "sealed_headers", optional=True),
    Column(Endpoint, "pk", "sealed_client_certificate", optional=True),
]

Row = tuple[int, int, bytes]
"""The number of a row, its owner's, and what is sealed in it."""


@dataclass
class Resealed:
    """What came of sealing anew."""

    anew: int = 0
    current: int = 0
    """How many the newest key had sealed already."""
    closed: int = 0
    """How many could not be opened; they stay as they are."""
    owners: set[int] = field(default_factory=set)
    """The endpoints that those belong to."""


def reseal(
    *, using: str, dry_run: bool = False, told: Callable[[int], None] = lambda count: None
) -> Resealed:
    """
    Seal with the newest key whatever another one has sealed, beside a system at work.

    What somebody changes meanwhile is looked at again, and never written over. Who is stopped may
    begin again: what was done is found to be current.

    dry_run: only count. told: hears how many more have been looked at.
    """
    done = Resealed()
    for column in COLUMNS:
        for batch in _batches(column, using):
            told(len(batch))
            while batch:
                changed = _reseal(batch, column, using, dry_run, done)
                batch = _read(column, using, pk__in=changed)
    return done


def unopenable(endpoints: EndpointQuerySet) -> list[Endpoint]:
    """Those of the endpoints that nothing can be sent to: what is sealed for them does not open."""
    return [each for each in reached(with_secrets(endpoints)).values() if not _opens(each)]


def _opens(endpoint: Endpoint) -> bool:
    """Whether an attempt would find all that it needs."""
    secrets = vars(endpoint)["sealed_secrets"]
    also = [bytes(endpoint.sealed_headers), bytes(endpoint.sealed_client_certificate)]
    needed = [*secrets, *filter(None, also)]
    return bool(secrets) and all(keys.opens(sealed, owner=endpoint.pk) for sealed in needed)


def _batches(column: Column, using: str) -> Iterator[list[Row]]:
    last = 0
    while batch := _read(column, using, pk__gt=last):
        yield batch
        last = batch[-1][0]


def _read(column: Column, using: str, **which: Any) -> list[Row]:
    # By another name: Django 5.2.0 gives a column once that is asked for twice.
    rows = column.rows(using).filter(**which).annotate(of=F(column.owner))
    columns = rows.values_list("pk", "of", column.name)
    return [(pk, owner, bytes(sealed)) for pk, owner, sealed in columns[:BATCH]]


def _reseal(
    batch: Iterable[Row], column: Column, using: str, dry_run: bool, done: Resealed
) -> list[int]:
    """Count them, and write what needs it; returns those that somebody has changed meanwhile."""
    changes: dict[int, tuple[bytes, bytes]] = {}
    for pk, owner, sealed in batch:
        try:
            anew = keys.renew(sealed, owner=owner)
        except keys.SecretUnavailable:
            done.closed += 1
            done.owners.add(owner)
            continue
        if anew == sealed:
            done.current += 1
        else:
            changes[pk] = sealed, anew
    writes = bool(changes) and not dry_run
    missed = insist(partial(_write, changes, column, using), using=using) if writes else []
    done.anew += len(changes) - len(missed)
    return missed


def _write(changes: dict[int, tuple[bytes, bytes]], column: Column, using: str) -> list[int]:
    """Compare and set; returns those that are no longer as they were."""
    rows, name = column.rows(using).order_by(), column.name
    return [
        pk
        for pk, (sealed, anew) in changes.items()
        if not rows.filter(pk=pk, **{name: sealed}).update(**{name: anew})
    ]
