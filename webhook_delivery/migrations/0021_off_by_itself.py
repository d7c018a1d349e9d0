"""Whether an endpoint is off though no person wished it: of those that are now, by their reason."""

from django.db import migrations, models
from django.db.models import Q

REFUSALS = ("410 Gone", "webhook-delivery: disable")
FAILING = r"^failing since [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC$"


def mark(apps, schema_editor):
    rows = apps.get_model("webhook_delivery", "Endpoint").objects
    off = rows.using(schema_editor.connection.alias).filter(state="off")
    by_itself = Q(state_reason__in=REFUSALS) | Q(state_reason__regex=FAILING)
    off.filter(by_itself).update(off_by_itself=True)


class Migration(migrations.Migration):
    dependencies = [("webhook_delivery", "0020_traceparent")]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="off_by_itself",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
