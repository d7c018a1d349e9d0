"""How long a query may take that somebody waits for; then it is stopped, and not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connections, transaction

from webhook_delivery.conf import settings

QUERY_CANCELED = "57014"
"""PostgreSQL's code for a statement that took longer than it may (its appendix A)."""


class TooSlow(Exception):
    """A query was stopped; it can be asked again for less."""


@contextmanager
def patience(*, using: str) -> Iterator[None]:
    """
    Stop each query after `CONSOLE_TIMEOUT_SECONDS`, where the database can (PostgreSQL).

    Raises TooSlow.
    """
    if connections[using].vendor != "postgresql":
        yield
        return
    try:
        with transaction.atomic(using=using):
            with connections[using].cursor() as cursor:
                milliseconds = str(max(1, int(settings.CONSOLE_TIMEOUT_SECONDS * 1000)))
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != QUERY_CANCELED:
            raise
        raise TooSlow from error
