"""When others could last see a device. A nullable column without a default: no rewrite, a lock for a moment."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="device",
            name="last_shown_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
