"""The database's clock, in UTC on every database, and the seconds that leases are measured by."""

from __future__ import annotations

import time
from typing import Any

from django.db.models import DateTimeField, Func, QuerySet, functions
from django.db.models.expressions import Combinable

BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")


def elapsed() -> float:
    """
    Seconds, from some moment on, by this machine: those that it slept among them, on Linux.

    Leases end by the database's clock meanwhile. Elsewhere, a machine that is suspended does not
    count (`time.monotonic`).
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if BOOTTIME else time.monotonic()


class Now(functions.Now):
    """
    Django's `Now()`, except that MySQL's would be in the time zone of its session, and SQLite's
    before a moment of the same millisecond: it compares texts, and writes more digits of those.
    """

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        now = "(STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW') || '000')"
        return self.as_sql(compiler, connection, template=now)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


class FromNow(Func):
    """The moment that is so many seconds from now, where the seconds are told by columns."""

    def __init__(self, seconds: Combinable) -> None:
        super().__init__(Now(), seconds, output_field=DateTimeField())

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        moment = "(STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', %(expressions)s || ' seconds')"
        return self.as_sql(compiler, connection, template=f"{moment} || '000')")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        moment = {"template": "(%(expressions)s * INTERVAL '1 second')", "arg_joiner": " + "}
        return self.as_sql(compiler, connection, **moment)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        moment = {"template": "(%(expressions)s SECOND)", "arg_joiner": " + INTERVAL "}
        return self.as_sql(compiler, connection, **moment)


def seconds_until_first(rows: QuerySet[Any], moment: str, *, alike: str = "") -> float | None:
    """
    Seconds until the first of the rows' moments, negative if past; None if none has one.

    alike: the column in which the rows are, if their index has one before the moment.
    """
    dated = rows.filter(**{f"{moment}__isnull": False}).order_by(*filter(None, (alike, moment)))
    first = dated.values_list(moment, Now()).first()
    return None if first is None else float((first[0] - first[1]).total_seconds())
