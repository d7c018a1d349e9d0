"""Fills a database with deliveries that ended long ago: copies of one that was really sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.db import connection, models

from benchmarks.workers.filling import prepare as prepare_filling
from webhook_delivery import loop, publish
from webhook_delivery.models import Attempt, Delivery, Event

DAYS = 40


class Dialect(NamedTuple):
    """What the two servers say differently."""

    series: str
    event: str
    """The id of the n-th event, a UUID of version 7 that is older than any real one."""
    older: str


DIALECTS = {
    "postgresql": Dialect(
        "generate_series(1, {count}) AS s(n)",
        "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
        f"{{}} - interval '{DAYS} days' - n * interval '1 millisecond'",
    ),
    "mysql": Dialect(
        "(SELECT seq AS n FROM seq_1_to_{count}) AS s",
        "CONCAT('00000000-0000-7000-8000-', LPAD(HEX(n), 12, '0'))",
        f"{{}} - INTERVAL {DAYS} DAY - INTERVAL n * 1000 MICROSECOND",
    ),
}


def prepare(*, urls: list[str], deliveries: int) -> Callable[[], Mapping[str, Any]]:
    """Endpoints, and so many deliveries of so many events, each with one attempt."""

    def age() -> Mapping[str, Any]:
        prepare_filling(urls=urls)()
        event: Event = publish("bench.e0", b"x" * 1024)
        loop.once(using="default", seconds=60)
        dialect = DIALECTS[connection.vendor]
        last = Delivery.objects.get(event=event).pk
        series = dialect.series.format(count=deliveries)
        with connection.cursor() as cursor:
            cursor.execute(_copy(Event, dialect, series, {"id": dialect.event}))
            cursor.execute(_copy(Delivery, dialect, series, {"event_id": dialect.event}))
            cursor.execute(_copy_attempts(last))
            _look(cursor)
        return {}

    return age


def _copy(model: type[models.Model], dialect: Dialect, series: str, new: dict[str, str]) -> str:
    names = _columns(model)
    dated = {f.column for f in model._meta.concrete_fields if isinstance(f, models.DateTimeField)}
    told = [
        new.get(name)
        or (dialect.older.format(f"t.{_quoted(name)}") if name in dated else _of(name))
        for name in names
    ]
    return f"{_into(model, names)} SELECT {', '.join(told)} FROM {model._meta.db_table} t, {series}"


def _copy_attempts(last: int) -> str:
    """The log of the one that was sent stands for all."""
    names = _columns(Attempt)
    told = ", ".join("d.id" if name == "delivery_id" else _of(name) for name in names)
    tables = f"{Attempt._meta.db_table} t, {Delivery._meta.db_table} d"
    chosen = f"t.delivery_id = {last} AND d.id > {last}"
    return f"{_into(Attempt, names)} SELECT {told} FROM {tables} WHERE {chosen}"


def _into(model: type[models.Model], names: list[str]) -> str:
    return f"INSERT INTO {model._meta.db_table} ({', '.join(map(_quoted, names))})"


def _columns(model: type[models.Model]) -> list[str]:
    """But the one that the table numbers by itself."""
    fields = model._meta.concrete_fields
    return [str(f.column) for f in fields if not isinstance(f, models.AutoField)]


def _of(name: str) -> str:
    return f"t.{_quoted(name)}"


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))


def _look(cursor: Any) -> None:
    """Plans must be made for what there is now."""
    if connection.vendor == "postgresql":
        cursor.execute("vacuum analyze")
        return
    tables = [model._meta.db_table for model in (Event, Delivery, Attempt)]
    cursor.execute(f"ANALYZE TABLE {', '.join(tables)}")
