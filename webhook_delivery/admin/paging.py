"""Counts what a list holds, so far and no farther: a page costs the same however long the list."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

from webhook_delivery.counting import Number, count

CAP = 10_000
"""So many rows are counted, and can be paged through; a filter finds the others."""


class CappedPaginator(Paginator):
    """Exact up to the cap. An estimate might fall below one page: Django then reads the table."""

    cap = CAP

    @cached_property
    def counted(self) -> Number:
        rows: Any = self.object_list
        return count(rows, cap=self.cap)

    @cached_property
    def count(self) -> int:
        return self.counted.of

    @property
    def capped(self) -> bool:
        return self.counted.capped
