"""Who stands before whom; kept apart, because MySQL cannot index only the rows in a sequence."""

from django.db import migrations, models

FIELDS = ["state", "endpoint", "sequence", "id"]
NAME = "webhook_delivery_sequence_idx"


def _index(schema_editor):
    if schema_editor.connection.features.supports_partial_indexes:
        in_sequence = models.Q(sequence__isnull=False)
        return models.Index(fields=FIELDS, condition=in_sequence, name=NAME)
    return models.Index(fields=FIELDS, name=NAME)


def add(apps, schema_editor):
    schema_editor.add_index(apps.get_model("webhook_delivery", "Delivery"), _index(schema_editor))


def remove(apps, schema_editor):
    delivery = apps.get_model("webhook_delivery", "Delivery")
    schema_editor.remove_index(delivery, _index(schema_editor))


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0002_exact_text_on_mysql")]

    operations = [migrations.RunPython(add, remove, atomic=False)]  # MySQL cannot roll DDL back
