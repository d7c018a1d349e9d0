from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("webhook_delivery", "0014_exact_owner_on_mysql")]

    operations = [
        migrations.AddIndex(
            model_name="endpointstat",
            index=models.Index(
                fields=["hour", "endpoint", "delivered", "failed", "dead"],
                name="webhook_stat_sums_idx",
            ),
        ),
        migrations.RemoveIndex(model_name="endpointstat", name="webhook_stat_hour_idx"),
    ]
