"""Deletes rows that nothing else belongs to, by their age alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet

from webhook_delivery.pruning.deleting import CHUNK, apart, delete
from webhook_delivery.pruning.tally import Tally


class Records:
    """Rows of one table, as `old` finds them."""

    def __init__(
        self, name: str, old: Callable[..., QuerySet[Any]], using: str, *, order: str = "pk"
    ) -> None:
        self._name, self._old, self._using, self._order = name, old, using, order

    def bite(self, tally: Tally) -> bool:
        rows = self._old(using=self._using).order_by(self._order)
        ids = list(rows.values_list("pk", flat=True)[:CHUNK])
        if ids:
            apart(self._delete, ids, tally, using=self._using)
        return len(ids) == CHUNK

    def _delete(self, ids: Sequence[int]) -> dict[str, int]:
        rows = self._old(using=self._using).filter(pk__in=ids)
        return {self._name: delete(rows)}
