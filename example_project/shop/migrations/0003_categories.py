"""Say categories, not categorys."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("shop", "0002_catalogue"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="category",
            options={"verbose_name_plural": "categories"},
        ),
    ]
