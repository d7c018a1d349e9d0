"""
The two orders in which people look at dead letters: the latest first, and by how they failed.

Kept apart like 0003, because MySQL cannot index only what is dead.
"""

from django.db import migrations, models

INDEXES = {
    "webhook_dead_latest_idx": ["ended_at", "id"],
    "webhook_dead_group_idx": ["endpoint", "reason", "last_status", "ended_at"],
}


def _indexes(schema_editor):
    partial = schema_editor.connection.features.supports_partial_indexes
    for name, fields in INDEXES.items():
        if partial:
            yield models.Index(fields=fields, condition=models.Q(state="dead"), name=name)
        else:
            yield models.Index(fields=["state", *fields], name=name)


def add(apps, schema_editor):
    for index in _indexes(schema_editor):
        schema_editor.add_index(apps.get_model("webhook_delivery", "Delivery"), index)


def remove(apps, schema_editor):
    for index in _indexes(schema_editor):
        schema_editor.remove_index(apps.get_model("webhook_delivery", "Delivery"), index)


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0007_console")]

    operations = [migrations.RunPython(add, remove, atomic=False)]  # MySQL cannot roll DDL back
