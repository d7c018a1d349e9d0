"""Who is written to about an endpoint, and the mails that are owed to them."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhook_delivery", "0017_retention")]

    operations = [
        migrations.AddField(
            model_name='endpoint',
            name='contact',
            field=models.EmailField(blank=True, db_default='', default='', help_text='Who is written to when it fails for long, is switched off, or is well again.', max_length=254, verbose_name='contact'),
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('warned', 'fails for long'), ('disabled', 'switched off'), ('recovered', 'well again')], max_length=10, verbose_name='kind')),
                ('facts', models.JSONField(default=dict, verbose_name='facts')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='created')),
                ('due_at', models.DateTimeField(blank=True, db_index=True, null=True, verbose_name='due')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='sent')),
                ('endpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='webhook_delivery.endpoint')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
                'default_permissions': ('view',),
            },
        ),
    ]
