import django.db.models.deletion
import webhook_delivery.models.fields
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webhook_delivery", "0012_sequence_index_on_sqlite"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="deliver_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="not before"),
        ),
        migrations.AddField(
            model_name="event",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="expires"),
        ),
        migrations.AddField(
            model_name="event",
            name="targeted",
            field=models.BooleanField(db_default=False, default=False, verbose_name="targeted"),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="conditions",
            field=models.JSONField(
                blank=True,
                db_default={},
                default=dict,
                help_text='What must be in the body of what it is sent, by path: {"data.status": "paid", "data.total": {"gte": 100}}. All must hold. Operators: ne, in, lt, lte, gt, gte, exists, prefix. Empty: whatever it is.',
                validators=[webhook_delivery.models.fields.validate_conditions],
                verbose_name="conditions",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="owner",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Whose it is, for your own code: shop.customer:7. Decides nothing here.",
                max_length=200,
                verbose_name="owner",
            ),
        ),
        migrations.AddIndex(
            model_name="endpoint",
            index=models.Index(fields=["owner"], name="webhook_endpoint_owner_idx"),
        ),
        migrations.AlterField(
            model_name="acknowledgement",
            name="by",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="consoleaction",
            name="by",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="redeliverybatch",
            name="by",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
