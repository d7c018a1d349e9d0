"""Since when endpoints fail; and events found by what they are about, exactly, as in 0002."""

from django.db import migrations, models


def compare_exactly(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "mysql":
        return
    collation = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
    options = apps.get_model("webhook_delivery", "Event")._meta
    schema_editor.execute(
        f"ALTER TABLE {schema_editor.quote_name(options.db_table)} "
        f"MODIFY {schema_editor.quote_name('source')} "
        f"varchar({options.get_field('source').max_length}) "
        f"CHARACTER SET utf8mb4 COLLATE {collation} NOT NULL"
    )


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0015_sums_by_the_hour")]

    operations = [
        migrations.AddField(
            model_name="lane",
            name="failing_since",
            field=models.DateTimeField(
                blank=True, db_index=True, null=True, verbose_name="failing since"
            ),
        ),
        migrations.AddField(
            model_name="lane",
            name="failed_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="failed last"),
        ),
        migrations.AddField(
            model_name="lane",
            name="failed_events",
            field=models.PositiveIntegerField(
                db_default=0, default=0, verbose_name="events that failed"
            ),
        ),
        migrations.AddField(
            model_name="lane",
            name="warned_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="warned"),
        ),
        migrations.RunPython(compare_exactly, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["source"], name="webhook_event_source_idx"),
        ),
    ]
