"""Overrides Django's `flush`, which truncates every table and writes each permission anew."""

from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from webhook_delivery import provisioning
from webhook_delivery.locking import insist

KEPT = {ContentType._meta.db_table, Permission._meta.db_table}
"""What no test changes."""


class Command(flush.Command):
    def handle(self, *, database: str, **options: Any) -> None:
        connection = connections[database]
        filled = _filled(connection)
        with connection.constraint_checks_disabled():
            insist(partial(_empty, connection, filled), using=database)
        provisioning.provide(apps.get_app_config("webhook_delivery"), using=database)


def _filled(connection: BaseDatabaseWrapper) -> list[str]:
    """Before the transaction: on SQLite, who has read in one may not wait for others to write."""
    names = connection.introspection.django_table_names(include_views=False)
    tables = [connection.ops.quote_name(name) for name in names if name not in KEPT]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"EXISTS(SELECT 1 FROM {table})" for table in tables))
        return [table for table, filled in zip(tables, cursor.fetchone(), strict=True) if filled]


def _empty(connection: BaseDatabaseWrapper, tables: list[str]) -> None:
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")
