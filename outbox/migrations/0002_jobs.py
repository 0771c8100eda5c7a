"""Jobs get a table, and events other than messages.stored get a column for their keys.

Old processes may go on storing messages: `chat_ingest` names no column that goes. A row that an old worker had tried before
is drained like any other; reactions that it had run run twice, which each must bear. `chat_outbox` is locked for an
instant: it is short, and no column that is added or altered has it written anew.
"""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("outbox", "0001_initial"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="outbox",
            name="available_at",
        ),
        migrations.RemoveField(
            model_name="outbox",
            name="pending",
        ),
        migrations.AddField(
            model_name="outbox",
            name="data",
            field=models.JSONField(help_text="the keys of all events but messages.stored", null=True),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="attempts",
            field=models.IntegerField(db_default=0, default=0, help_text="always 0; written by the storing function"),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="conversation_id",
            field=models.BigIntegerField(help_text="of messages.stored", null=True),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="from_seq",
            field=models.BigIntegerField(db_default=0, default=0, help_text="of messages.stored"),
        ),
        migrations.AlterField(
            model_name="outbox",
            name="to_seq",
            field=models.BigIntegerField(db_default=0, default=0, help_text="of messages.stored"),
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reaction", models.CharField(max_length=80)),
                ("event", models.CharField(max_length=40)),
                ("keys", models.JSONField()),
                ("attempts", models.IntegerField(db_default=0, help_text="failures since it was made or replayed")),
                (
                    "available_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when it is tried next"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when the event was recorded"
                    ),
                ),
                ("dead_at", models.DateTimeField(help_text="when it failed for the last time", null=True)),
                (
                    "error",
                    models.CharField(
                        db_default="", help_text="class of the last exception, and where it was raised", max_length=200
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("dead_at__isnull", True)),
                        fields=["reaction", "available_at", "id"],
                        name="job_due",
                    ),
                    models.Index(
                        condition=models.Q(("dead_at__isnull", False)), fields=["reaction", "id"], name="job_dead"
                    ),
                ],
            },
        ),
        # Every job is deleted soon after it was made.
        migrations.RunSQL("ALTER TABLE outbox_job SET (autovacuum_vacuum_scale_factor = 0.02)", migrations.RunSQL.noop),
    ]
