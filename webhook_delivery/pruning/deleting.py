"""Deletes rows by their keys, never reading them, and lets other apps' rows have their say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError
from django.db.models import CASCADE, SET_NULL, QuerySet

from webhook_delivery.locking import insist
from webhook_delivery.logs import log_of
from webhook_delivery.pruning.tally import Tally
from webhook_delivery.retention import pointing_at

logger = log_of(__name__)

CHUNK = 500
"""How many rows one transaction takes at most, so that no lock is held for long."""
Key = TypeVar("Key")


def delete(rows: QuerySet[Any]) -> int:
    """Delete these, named by their keys, with one statement; returns how many."""
    for each in pointing_at(rows.model):
        theirs = each.related_model._base_manager.using(rows.db)
        pointing = theirs.filter(**{f"{each.field.name}__in": rows.values("pk")})
        if each.on_delete is CASCADE:
            pointing.delete()
        elif each.on_delete is SET_NULL:
            pointing.update(**{each.field.name: None})
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
