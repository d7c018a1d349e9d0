"""How many rings were answered by no task: where no cluster runs, no more are queued."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhook_delivery", "0022_permissions_of_the_machine")]

    operations = [
        migrations.AddField(
            model_name="doorbell",
            name="untaken",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
    ]
