"""Overrides Django's `flush`, which truncates every table and writes each permission anew."""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from webhook_delivery import provisioning

KEPT = {ContentType._meta.db_table, Permission._meta.db_table}
"""What no test changes."""


class Command(flush.Command):
    def handle(self, *, database: str, **options: Any) -> None:
        connection = connections[database]
        with connection.constraint_checks_disabled(), transaction.atomic(using=database):
            _empty(connection)
        provisioning.provide(apps.get_app_config("webhook_delivery"), using=database)


def _empty(connection: BaseDatabaseWrapper) -> None:
    names = connection.introspection.django_table_names(include_views=False)
    tables = [connection.ops.quote_name(name) for name in names if name not in KEPT]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"EXISTS(SELECT 1 FROM {table})" for table in tables))
        for table, filled in zip(tables, cursor.fetchone(), strict=True):
            if filled:
                cursor.execute(f"DELETE FROM {table}")
