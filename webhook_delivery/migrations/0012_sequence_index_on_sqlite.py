"""
Puts back the index of 0003 where it is missing: on SQLite, Django copied the table for a column of
0004, and of an index that no model tells of the copy knew nothing.
"""

from importlib import import_module

from django.db import migrations

sequences = import_module("webhook_delivery.migrations.0003_sequence_index")


def add(apps, schema_editor):
    table = apps.get_model("webhook_delivery", "Delivery")._meta.db_table
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        known = connection.introspection.get_constraints(cursor, table)
    if sequences.NAME not in known:
        sequences.add(apps, schema_editor)


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0011_event_type_of_deliveries")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop, atomic=False)]
