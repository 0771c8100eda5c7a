"""`python -m config.prepare`: what must have happened before the processes start. Migrates; makes the demo team once.

One process for both, because loading Django twice would cost a second at every start.
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
    # WhiteNoise looks for files that `collectstatic` may have put there, and warns where there is no folder.
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    if settings.DEMO:
        create_demo(settings.VAR / SIGN_INS)


def migrate() -> None:
    """Bring the database to this version; asks first, because an empty run of the command takes half a second."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Bringing the database up to date ...", flush=True)
        call_command("migrate", interactive=False, verbosity=0)


def create_demo(sign_ins: Path) -> None:
    """Make the demo's people where there are none, and keep what the command says of them for the next start."""
    if get_user_model().objects.exists():
        return
    output = io.StringIO()
    # All or nothing: after a Ctrl-C in the middle the next start would find people, and tell nobody who can sign in.
    with transaction.atomic():
        call_command("demo", stdout=output)
        sign_ins.touch(mode=0o600)
        sign_ins.write_text(output.getvalue())


if __name__ == "__main__":
    main()
