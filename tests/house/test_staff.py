"""Who of the staff reaches what: every page of the admin, and every place that asks for `is_staff`, is listed with its guard."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import RequestFactory

from accounts.models import User
from config.env import BASE_DIR

# The model of each page of the admin, and what its ModelAdmin lets staff with all of its permissions do.
PAGES = {
    "accounts.User": "reads; disables and enables, no superuser; superusers change rights and the address",
    "accounts.Invitation": "reads; invites and revokes with accounts.add_invitation",
    "accounts.Device": "reads; signs out, no superuser",
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
    "accounts/forms.py": "staff do not change their own address",
    "accounts/models.py": "the column, and createsuperuser",
    "chat/management/commands/demo.py": "the demo's first person",
    "receipts/traces.py": "beside the permission receipts.add_inspection",
}


def test_every_page_of_the_admin_is_listed() -> None:
    registered = {model._meta.label for model in admin.site._registry}

    assert registered == PAGES.keys(), "what may staff do there? list it here and test it"


@pytest.mark.parametrize("label", PAGES)
def test_page_opens_with_its_own_permissions_or_for_superusers_alone(label: str) -> None:
    (model,) = [model for model in admin.site._registry if model._meta.label == label]
    page, own = admin.site._registry[model], model._meta
    rights = {f"{own.app_label}.{verb}_{own.model_name}" for verb in ("view", "add", "change", "delete")}

    def opens(granted: set[str], *, superuser: bool = False) -> bool:
        request = RequestFactory().get("/")
        request.user = User(is_staff=True, is_superuser=superuser)
        request.user._perm_cache = granted  # type: ignore[attr-defined]
        checks = (page.has_view_permission, page.has_add_permission, page.has_change_permission)
        return any(check(request) for check in (*checks, page.has_module_permission, page.has_delete_permission))

    assert opens(set(), superuser=True)
    assert not opens(set()), "staff without any permission open this page"
    assert opens(rights) is (PAGES[label] != "superusers only")


def test_every_use_of_is_staff_is_listed() -> None:
    roots = [BASE_DIR / config.name for config in apps.get_app_configs() if (BASE_DIR / config.name).is_dir()]
    files = [
        file for root in [*roots, BASE_DIR / "config"] for file in root.rglob("*.py") if "migrations" not in file.parts
    ]
    using = {str(file.relative_to(BASE_DIR)) for file in files if re.search(r"\bis_staff\b", file.read_text())}

    assert using == IS_STAFF.keys(), "is_staff alone gives every member of the staff the right: ask for a permission"
