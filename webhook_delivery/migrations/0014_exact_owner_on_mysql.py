"""MySQL and MariaDB would find `a7` where `A7` was looked for: they compare exactly, as in 0002."""

from django.db import migrations


def compare_exactly(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "mysql":
        return
    collation = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
    options = apps.get_model("webhook_delivery", "Endpoint")._meta
    schema_editor.execute(
        f"ALTER TABLE {schema_editor.quote_name(options.db_table)} "
        f"MODIFY {schema_editor.quote_name('owner')} "
        f"varchar({options.get_field('owner').max_length}) "
        f"CHARACTER SET utf8mb4 COLLATE {collation} NOT NULL DEFAULT ''"
    )


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0013_publishing")]

    operations = [migrations.RunPython(compare_exactly, migrations.RunPython.noop)]
