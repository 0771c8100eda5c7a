"""`Outbox` becomes a model of the app `outbox` (0001_initial there). State only: no lock, and the table stays as it is."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("chat", "0006_frozen")]
    operations = [migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("Outbox")])]
