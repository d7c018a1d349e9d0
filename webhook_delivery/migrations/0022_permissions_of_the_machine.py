"""Doorbells and lanes are the machine's: new databases have no permissions for them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("webhook_delivery", "0021_off_by_itself")]

    operations = [
        migrations.AlterModelOptions(
            name="doorbell",
            options={
                "default_permissions": (),
                "verbose_name": "doorbell",
                "verbose_name_plural": "doorbells",
            },
        ),
        migrations.AlterModelOptions(
            name="lane",
            options={
                "default_permissions": (),
                "verbose_name": "lane",
                "verbose_name_plural": "lanes",
            },
        ),
    ]
