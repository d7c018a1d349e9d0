"""What a database server itself does wrong, which only it can be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections, router

from webhook_delivery.models import Event

EARLIER = "01000000-0000-7000-8000-ffffffffffff"
LATER = "02000000-0000-7000-8000-000000000000"


def of_servers(databases: Iterable[str]) -> Iterator[CheckMessage]:
    """Events are found and deleted by the order of their ids, which is that of time."""
    for alias in databases:
        if router.allow_migrate_model(alias, Event) and not _sorts_by_time(connections[alias]):
            yield Error(
                f"The server of database {alias!r} sorts UUIDs by their last digits: no event "
                "would ever be deleted.",
                hint="Use MariaDB 10.11.6, 11.0.4, 11.1.3, 11.2.2 or later, and write tables that "
                "are there anew: `ALTER TABLE webhook_delivery_event FORCE`, and so on.",
                id="webhook_delivery.E015",
            )


def _sorts_by_time(connection: Any) -> bool:
    """MariaDB's own type, which Django uses, did so for years (MDEV-29959, MDEV-31926)."""
    if connection.vendor != "mysql" or not connection.features.has_native_uuid_field:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(%s AS UUID) < CAST(%s AS UUID)", [EARLIER, LATER])
        return bool(cursor.fetchone()[0])
