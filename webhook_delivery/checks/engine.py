"""What django-q2 is told, the clocks, and connections with which workers fail one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import connections, router

from webhook_delivery.models import Delivery
from webhook_delivery.scheduling.oddities import oddities, queue_alias

KINDS = {"E": Error, "W": checks.Warning, "I": checks.Info}


def of_engine() -> Iterator[CheckMessage]:
    if not django_settings.USE_TZ:
        yield Error(
            "With USE_TZ = False, what the databases say of the time cannot be compared.",
            hint="Set USE_TZ = True.",
            id="webhook_delivery.E007",
        )
    for code, seen, hint in oddities():
        yield KINDS[code[0]](seen, hint=hint, id=f"webhook_delivery.{code}")


def of_databases() -> Iterator[CheckMessage]:
    """The deliveries' database, and the one that django-q2's clusters poll."""
    used = dict.fromkeys([router.db_for_write(Delivery), queue_alias()])
    for alias in filter(None, used):
        yield from _of_database(alias, django_settings.DATABASES[alias])


def _of_database(alias: str, options: dict[str, Any]) -> Iterator[CheckMessage]:
    engine, extra = options["ENGINE"], options.get("OPTIONS") or {}
    if engine.endswith("sqlite3") and extra.get("transaction_mode") != "IMMEDIATE":
        yield checks.Warning(
            f"SQLite database {alias!r} will say “database is locked” when workers write.",
            hint="Set OPTIONS: transaction_mode IMMEDIATE, and init_command for WAL; see README.",
            id="webhook_delivery.W002",
        )
    zone = options.get("TIME_ZONE")
    if zone not in (None, "UTC") and connections[alias].vendor != "postgresql":
        yield Error(
            f"Database {alias!r} keeps moments in {zone}, and tells the time in UTC: what is to "
            "wait would be hours off.",
            hint="Leave its TIME_ZONE out, and convert what it has kept.",
            id="webhook_delivery.E014",
        )
    if extra.get("pool"):
        yield checks.Warning(
            f"Database {alias!r} uses a connection pool, which does not survive django-q2's fork.",
            hint="Remove OPTIONS['pool'] in the settings that qcluster runs with.",
            id="webhook_delivery.W003",
        )
