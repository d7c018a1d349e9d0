from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("webhook_delivery", "0008_dead_letter_indexes")]

    operations = [
        migrations.AddField(
            model_name="redeliverybatch",
            name="token",
            field=models.UUIDField(editable=False, null=True, unique=True),
        ),
    ]
