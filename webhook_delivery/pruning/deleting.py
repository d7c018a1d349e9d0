"""Deletes rows by their keys, never reading them, and lets other apps' rows have their say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError
from django.db.models import QuerySet

from webhook_delivery.locking import insist
from webhook_delivery.pruning.tally import Tally
from webhook_delivery.retention import pointing_at

logger = logging.getLogger(__name__)

CHUNK = 500
"""How many rows one transaction takes at most, so that no lock is held for long."""
Key = TypeVar("Key")


def delete(rows: QuerySet[Any]) -> int:
    """
    Delete these, with one statement; returns how many.

    If another app's rows may point at them, Django does what those ask for: it deletes them, too,
    or makes them point at nothing.
    """
    if pointing_at(rows.model):
        return rows.delete()[1].get(rows.model._meta.label, 0)
    return int(rows._raw_delete(rows.db) or 0)


def apart(
    act: Callable[[Sequence[Key]], dict[str, int]], keys: Sequence[Key], tally: Tally, *, using: str
) -> None:
    """
    Do it to all of them in one transaction; to each half apart, if the database forbids that.

    So one row that something else points at keeps no other. It stays, and the log names it.
    """
    try:
        tally.add(**insist(partial(act, keys), using=using))
    except IntegrityError as error:
        if len(keys) > 1:
            half = len(keys) // 2
            apart(act, keys[:half], tally, using=using)
            apart(act, keys[half:], tally, using=using)
            return
        logger.error("%s cannot be deleted, for something points at it: %s", keys[0], error)
        tally.add(refused=1)
