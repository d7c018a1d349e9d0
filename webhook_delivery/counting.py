"""Counts many kinds of rows in one statement, each so far and no farther."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import QuerySet


class Number(NamedTuple):
    """How many there are, and whether it is only that many that were counted."""

    of: int
    capped: bool = False

    def __str__(self) -> str:
        return f"{self.of:,}+" if self.capped else f"{self.of:,}"


def count(rows: QuerySet[Any], *, cap: int) -> Number:
    """Count the rows, up to the cap."""
    return _capped(rows.order_by().values("pk")[: cap + 1].count(), cap)


def both(one: Number, other: Number, *, cap: int) -> Number:
    """How many there are of two kinds that share no row, as if they had been counted together."""
    together = one.of + other.of
    return Number(min(together, cap), one.capped or other.capped or together > cap)


def count_each(rows: Mapping[str, QuerySet[Any]], *, cap: int, using: str) -> dict[str, Number]:
    """Count the rows of each name, up to the cap, with one statement for all of them."""
    parts: list[str] = []
    values: list[Any] = []
    for number, each in enumerate(rows.values()):
        unordered = each if each.query.is_sliced else each.order_by()
        counted = unordered.values("pk")[: cap + 1]
        sql, given = counted.query.get_compiler(using, elide_empty=False).as_sql()
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) counted_{number})")  # noqa: S608 - Django's
        values += given
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", values)
        found = cursor.fetchone()
    return {name: _capped(number, cap) for name, number in zip(rows, found, strict=True)}


def _capped(counted: int, cap: int) -> Number:
    return Number(min(counted, cap), counted > cap)
