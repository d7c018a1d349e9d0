"""MySQL and MariaDB compare text without case, accents and trailing blanks; tenants must not mix."""

from django.db import migrations

COLUMNS = [
    ("endpoint", "tenant"),
    ("subscription", "pattern"),
    ("event", "event_type"),
    ("event", "tenant"),
    ("event", "idempotency_key"),
    ("event", "key"),
]


def compare_exactly(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "mysql":
        return
    collation = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
    for model, column in COLUMNS:
        field = apps.get_model("webhook_delivery", model)._meta.get_field(column)
        table = schema_editor.quote_name(field.model._meta.db_table)
        null = "NULL" if field.null else "NOT NULL"
        schema_editor.execute(
            f"ALTER TABLE {table} MODIFY {schema_editor.quote_name(column)} "
            f"varchar({field.max_length}) CHARACTER SET utf8mb4 COLLATE {collation} {null}"
        )


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0001_initial")]

    operations = [migrations.RunPython(compare_exactly, migrations.RunPython.noop)]
