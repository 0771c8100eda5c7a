from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).with_suffix(".sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("chat", "0005_whole"), ("accounts", "0001_initial")]
    operations = [
        migrations.AddField("member", "frozen_delivered_seq", models.BigIntegerField(null=True)),
        migrations.AddField(
            "member",
            "frozen_read_seq",
            models.BigIntegerField(
                null=True, help_text="read_seq as shown to users whom this member blocks; set by trigger"
            ),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
