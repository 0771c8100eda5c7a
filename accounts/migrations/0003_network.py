"""From which network a device signed in. A nullable column without a default: no rewrite, a lock for a moment."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_last_shown"),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="network_hash",
            field=models.BinaryField(blank=True, max_length=16, null=True),
        ),
    ]
