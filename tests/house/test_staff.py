"""Who of the staff reaches what: every page of the admin, and every place that asks for `is_staff`, is listed with its guard."""

import re

from django.apps import apps
from django.contrib import admin

from config.env import BASE_DIR

# The model of each page of the admin, and what its ModelAdmin lets staff with all of its permissions do.
PAGES = {
    "accounts.User": "reads; disables and enables, no superuser; superusers change rights",
    "accounts.Device": "reads; signs out, no superuser",
    "accounts.Invitation": "reads; invites and revokes with accounts.add_invitation",
    "auth.Group": "superusers only",
    "chat.Conversation": "reads names and numbers",
    "chat.Flag": "reads and settles",
    "chat.Member": "reads names and numbers",
    "chat.Team": "reads names and numbers",
    "chat.TeamMember": "reads names and numbers",
    "outbox.Job": "reads, replays and discards dead jobs",
    "receipts.Inspection": "reads; a look takes receipts.add_inspection",
}
IS_STAFF = {
    "accounts/admin.py": "columns of the list",
    "accounts/models.py": "the column, and createsuperuser",
    "chat/management/commands/demo.py": "the demo's first person",
    "receipts/traces.py": "beside the permission receipts.add_inspection",
}


def test_every_page_of_the_admin_is_listed() -> None:
    registered = {model._meta.label for model in admin.site._registry}

    assert registered == PAGES.keys(), "what may staff do there? list it here and test it"


def test_every_use_of_is_staff_is_listed() -> None:
    roots = [BASE_DIR / config.name for config in apps.get_app_configs() if (BASE_DIR / config.name).is_dir()]
    files = [
        file for root in [*roots, BASE_DIR / "config"] for file in root.rglob("*.py") if "migrations" not in file.parts
    ]
    using = {str(file.relative_to(BASE_DIR)) for file in files if re.search(r"\bis_staff\b", file.read_text())}

    assert using == IS_STAFF.keys(), "is_staff alone gives every member of the staff the right: ask for a permission"
