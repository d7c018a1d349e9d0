"""
What retention and erasure keep; and an index of what has ended, in the place of that of the dead.

Nothing is written anew, and workers go on: the columns are added at once, and PostgreSQL builds the
index beside them. MySQL's was of all states before, and gets the new name only.
"""

from importlib import import_module

from django.db import migrations, models
from django.utils import timezone

dead_letters = import_module("webhook_delivery.migrations.0008_dead_letter_indexes")

FORMER, NAME = "webhook_dead_latest_idx", "webhook_delivery_ended_idx"
FIELDS = ["state", "ended_at", "id"]
ENDED = models.Q(state="delivered") | models.Q(state="dead") | models.Q(state="discarded")


def _ended(schema_editor):
    if schema_editor.connection.features.supports_partial_indexes:
        return models.Index(fields=FIELDS, condition=ENDED, name=NAME)
    return models.Index(fields=FIELDS, name=NAME)


def _former(schema_editor):
    return next(each for each in dead_letters._indexes(schema_editor) if each.name == FORMER)


def add(apps, schema_editor):
    _exchange(apps, schema_editor, _former(schema_editor), _ended(schema_editor))


def remove(apps, schema_editor):
    _exchange(apps, schema_editor, _ended(schema_editor), _former(schema_editor))


def _exchange(apps, schema_editor, old, new):
    """The new one first, so that nobody is without; who was stopped in between runs it again."""
    delivery, connection = apps.get_model("webhook_delivery", "Delivery"), schema_editor.connection
    if connection.features.can_rename_index and list(old.fields) == list(new.fields):
        schema_editor.rename_index(delivery, old, new)
        return
    beside = {"concurrently": True} if _may_build_beside(connection) else {}
    if new.name in _known(connection, delivery):  # as far as it was built
        schema_editor.remove_index(delivery, new, **beside)
    schema_editor.add_index(delivery, new, **beside)
    if old.name in _known(connection, delivery):
        schema_editor.remove_index(delivery, old, **beside)


def _may_build_beside(connection):
    return connection.vendor == "postgresql" and not connection.in_atomic_block


def _known(connection, delivery):
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, delivery._meta.db_table)


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction, nor PostgreSQL build beside

    dependencies = [("webhook_delivery", "0016_failing_and_source")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="pruned_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="body removed"),
        ),
        migrations.AddField(
            model_name="event",
            name="erased_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="body erased"),
        ),
        migrations.CreateModel(
            name="Walk",
            fields=[
                ("name", models.CharField(max_length=20, primary_key=True, serialize=False)),
                ("reached", models.UUIDField(null=True)),
                ("began_at", models.DateTimeField(default=timezone.now)),
            ],
            options={
                "verbose_name": "walk",
                "verbose_name_plural": "walks",
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="event",
            options={
                "permissions": [
                    ("view_payload", "Can see bodies, headers and answers"),
                    ("erase_event", "Can erase the bodies of events"),
                ],
                "verbose_name": "event",
                "verbose_name_plural": "events",
            },
        ),
        migrations.RunPython(add, remove, atomic=False),
    ]
