"""The table of holds moves to the app holds (its 0001), with its rows and its name. Only Django's state changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("receipts", "0003_shown")]
    operations = [migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name="Hold")])]
