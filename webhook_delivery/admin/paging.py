"""Counts what a list holds, so far and no farther: a page costs the same however long the list."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

CAP = 10_000
"""So many rows are counted, and can be paged through; a filter finds the others."""


class CappedPaginator(Paginator):
    """Exact up to the cap. An estimate might fall below one page: Django then reads the table."""

    cap = CAP

    @cached_property
    def counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: self.cap + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self.counted, self.cap)

    @property
    def capped(self) -> bool:
        return self.counted > self.cap
