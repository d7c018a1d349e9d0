"""Copies an event, its deliveries and their attempts many times over, inside PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, models

from webhook_delivery.models import Attempt, Delivery, Event

Expressions = Mapping[str, str]

NEW_ID = "('00000000-0000-7000-8000-' || lpad(to_hex({base} + n), 12, '0'))::uuid"
"""A UUID of version 7, older than any real one, which the copies of deliveries can name."""


def multiply(event: Event, count: int, *, ago: str) -> None:
    """
    Copy what there is of the event, so many times.

    ago: by how much older each copy is than the one before, as a PostgreSQL interval.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {Event._meta.db_table}")
        base = cursor.fetchone()[0]
        cursor.execute(f"select max(id) from {Delivery._meta.db_table}")
        last = cursor.fetchone()[0]
        new, series = NEW_ID.format(base=base), f"generate_series(1, {count}) n"
        older = f"{{}} - n * interval '{ago}'"
        cursor.execute(_insert(Event, "id", {"id": new}, older) + f", {series}", [event.pk])
        # Else foreign keys are checked by the plan of when there was one row: by reading them all.
        cursor.execute(f"analyze {Event._meta.db_table}")
        cursor.execute(
            _insert(Delivery, "event_id", {"event_id": new}, older) + f", {series}", [event.pk]
        )
        cursor.execute(f"analyze {Delivery._meta.db_table}")
        # The log of one delivery stands for all: they differ in their endpoint only.
        one = Delivery.objects.filter(event=event).values_list("pk", flat=True)[0]
        cursor.execute(
            _insert(Attempt, "delivery_id", {"delivery_id": "d.id"}, "{}")
            + f", {Delivery._meta.db_table} d where d.id > %s",
            [one, last],
        )


def _insert(model: type[models.Model], by: str, replaced: Expressions, dated: str) -> str:
    """
    Every column is copied, but those that are replaced, numbered by the table, or dated.

    What is copied is read once, and first: read again for each number, PostgreSQL would pass over
    what is written meanwhile, each time.
    """
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    told = [replaced.get(f.column or "", _copied(f, dated)) for f in fields]
    table = model._meta.db_table
    columns = ", ".join(f'"{field.column}"' for field in fields)
    copied = f"with t as materialized (select * from {table} where {by} = %s)"
    return f"{copied} insert into {table} ({columns}) select {', '.join(told)} from t"


def _copied(field: models.Field[Any, Any], dated: str) -> str:
    column = f't."{field.column}"'
    return dated.format(column) if isinstance(field, models.DateTimeField) else column
