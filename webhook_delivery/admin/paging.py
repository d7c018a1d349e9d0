"""Counts what a list holds, so far and no farther: a page costs the same however long the list."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import F
from django.db.models.fields import AutoFieldMixin
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

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        begin = (number - 1) * self.per_page
        return Page(self._rows()[begin : begin + self.per_page], number, self)

    def _rows(self) -> Any:
        """If all were counted, they are sorted: to walk the key until few are met takes longer."""
        rows: Any = self.object_list
        numbered = isinstance(rows.model._meta.pk, AutoFieldMixin)
        if self.capped or not numbered or {*rows.query.order_by} != {"-pk"}:
            return rows
        return rows.order_by((F("pk") + 0).desc())

    @property
    def capped(self) -> bool:
        return self.counted.capped
