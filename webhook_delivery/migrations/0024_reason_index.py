"""
An index of those whose last attempt failed, by why: most have been delivered, and are not in it.

MySQL cannot index only these; there, the states in which failures are lead to them. PostgreSQL
builds it beside who goes on writing, unless the table has partitions.
"""

from django.db import migrations, models

NAME = "webhook_delivery_reason_idx"
FAILED = models.Index(fields=["reason", "id"], condition=models.Q(reason__gt=""), name=NAME)


def add(apps, schema_editor):
    delivery, connection = apps.get_model("webhook_delivery", "Delivery"), schema_editor.connection
    if not connection.features.supports_partial_indexes:
        return
    if NAME in _known(connection, delivery):  # as far as it was built
        schema_editor.remove_index(delivery, FAILED, **_beside(connection, delivery))
    schema_editor.add_index(delivery, FAILED, **_beside(connection, delivery))


def remove(apps, schema_editor):
    delivery, connection = apps.get_model("webhook_delivery", "Delivery"), schema_editor.connection
    if NAME in _known(connection, delivery):
        schema_editor.remove_index(delivery, FAILED, **_beside(connection, delivery))


def _beside(connection, delivery):
    may = connection.vendor == "postgresql" and not connection.in_atomic_block
    return {"concurrently": True} if may and not _has_partitions(connection, delivery) else {}


def _has_partitions(connection, delivery):
    asked = "SELECT relkind FROM pg_class WHERE oid = %s::regclass"
    with connection.cursor() as cursor:
        cursor.execute(asked, [delivery._meta.db_table])
        return cursor.fetchone()[0] == "p"


def _known(connection, delivery):
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, delivery._meta.db_table)


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL builds no index beside others inside a transaction

    dependencies = [("webhook_delivery", "0023_untaken_rings")]

    operations = [migrations.RunPython(add, remove, atomic=False)]
