"""The trace that published an event; and what all attempts came to, for counters that only grow."""

from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # MySQL cannot change a table inside a transaction

    dependencies = [("webhook_delivery", "0019_api_idempotency")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="traceparent",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=55, verbose_name="trace"
            ),
        ),
        migrations.AddField(
            model_name="rollup",
            name="seen_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="rollup",
            name="totals",
            field=models.JSONField(db_default={}, default=dict),
        ),
    ]
