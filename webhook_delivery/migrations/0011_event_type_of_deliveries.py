"""
Keeps the event type with each delivery, so that nobody who asks for one reads the events.

The column is added at once, however long the table is: no row is written anew for it. It is filled
by steps of 5,000 rows, each in a transaction of its own, while workers go on; then its index is
built, and until that is done nothing else can be written to the table.

Who stops it runs `migrate` again: what has been done is not done twice. What a worker writes that is
still of the version before has no type; `lifecycle.name_types` completes it, once a minute.
"""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from webhook_delivery.locking import insist

STEP = 5_000


def add(apps, schema_editor):
    """By hand: Django copies the table on SQLite, and its partial indexes would be lost."""
    if "event_type" not in _columns(apps, schema_editor):
        schema_editor.execute(
            f"{_alter(apps, schema_editor)} ADD COLUMN "
            f"event_type varchar(200){_exactly(schema_editor.connection)} DEFAULT '' NOT NULL"
        )


def remove(apps, schema_editor):
    schema_editor.execute(f"{_alter(apps, schema_editor)} DROP COLUMN event_type")


def fill(apps, schema_editor):
    using = schema_editor.connection.alias
    event = apps.get_model("webhook_delivery", "Event").objects.using(using)
    its_type = Subquery(event.filter(pk=OuterRef("event_id")).values("event_type"))
    rows = apps.get_model("webhook_delivery", "Delivery").objects.using(using).order_by("pk")
    last = 0
    while ids := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:STEP]):
        step = rows.filter(pk__gt=last, pk__lte=ids[-1], event_type="").order_by()
        insist(lambda step=step: step.update(event_type=Coalesce(its_type, Value(""))), using=using)
        last = ids[-1]


def _alter(apps, schema_editor):
    table = apps.get_model("webhook_delivery", "Delivery")._meta.db_table
    return f"ALTER TABLE {schema_editor.quote_name(table)}"


def _columns(apps, schema_editor):
    connection = schema_editor.connection
    table = apps.get_model("webhook_delivery", "Delivery")._meta.db_table
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    return {column.name for column in described}


def _exactly(connection):
    """As the column of events compares, since 0002."""
    if connection.vendor != "mysql":
        return ""
    collation = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
    return f" CHARACTER SET utf8mb4 COLLATE {collation}"


class Migration(migrations.Migration):
    atomic = False  # each step is for itself; and MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0010_exact_search_on_mysql")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove, atomic=False)],
            state_operations=[
                migrations.AddField(
                    model_name="delivery",
                    name="event_type",
                    field=models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=200,
                        verbose_name="event type",
                    ),
                ),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, atomic=False),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                fields=["event_type", "state", "ended_at", "endpoint"],
                name="webhook_delivery_type_idx",
                opclasses=["varchar_pattern_ops", "", "", ""],
            ),
        ),
    ]
