"""The model of `chat_outbox` comes from chat; the table stays, so that the storing function and its queued rows do."""

import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [("chat", "0007_outbox_leaves"), ("contenttypes", "0002_remove_content_type_name")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Outbox",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("event", models.CharField(max_length=40)),
                        ("conversation_id", models.BigIntegerField()),
                        ("from_seq", models.BigIntegerField(default=0)),
                        ("to_seq", models.BigIntegerField(default=0)),
                        (
                            "pending",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.CharField(max_length=80),
                                help_text="reactions still to run; NULL: all",
                                null=True,
                                size=None,
                            ),
                        ),
                        ("attempts", models.IntegerField(default=0)),
                        ("available_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                        ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ],
                    options={"db_table": "chat_outbox", "verbose_name_plural": "outbox"},
                )
            ]
        ),
        # The permissions on the model move with it.
        migrations.RunSQL(
            "UPDATE django_content_type SET app_label = 'outbox' WHERE app_label = 'chat' AND model = 'outbox'",
            migrations.RunSQL.noop,
        ),
    ]
