"""The table of holds moves here from receipts, with its rows and its name. Only Django's state changes; nothing is locked."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [("receipts", "0004_holds_move")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Hold",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("conversation_id", models.BigIntegerField(null=True)),
                        ("user_id", models.BigIntegerField(null=True)),
                        ("held_by", models.CharField(max_length=200)),
                        ("reason", models.CharField(max_length=500)),
                        (
                            "held_until",
                            models.DateTimeField(db_column="until", help_text="None: until released", null=True),
                        ),
                        ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                        ("released_at", models.DateTimeField(null=True)),
                    ],
                    options={
                        "db_table": "receipts_hold",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(
                                    ("conversation_id__isnull", False), ("user_id__isnull", False), _connector="OR"
                                ),
                                name="hold_names_something",
                            )
                        ],
                    },
                ),
            ],
        ),
    ]
