"""`python -m config.prepare`: runs before the other processes start. It migrates and creates the demo team once.

One process does both, because loading Django twice would cost a second at every start.
"""

import io
import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

SIGN_INS = "demo-sign-ins.txt"


def main() -> None:
    django.setup()
    migrate()
    # WhiteNoise looks for the files of `collectstatic` there, and warns if there is no folder.
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    if settings.DEMO:
        create_demo(settings.VAR / SIGN_INS)


def migrate() -> None:
    """Migrate the database. Checks first, because a run of the command without migrations takes half a second."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Bringing the database up to date ...", flush=True)
        call_command("migrate", interactive=False, verbosity=0)


def create_demo(sign_ins: Path) -> None:
    """Create the demo's users if there are no users, and write the command's output (who can sign in) to `sign_ins`."""
    if get_user_model().objects.exists():
        return
    output = io.StringIO()
    # In one transaction: after a Ctrl-C in the middle the next start would find users, but no list of sign-ins.
    with transaction.atomic():
        call_command("demo", stdout=output)
        sign_ins.touch(mode=0o600)
        sign_ins.write_text(output.getvalue())


if __name__ == "__main__":
    main()
