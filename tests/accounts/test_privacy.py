"""Privacy settings of users and devices."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import devices, privacy
from accounts.privacy import Settings
from gateway.errors import NotFound
from gateway.ids import DeviceId
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]


def test_privacy_defaults_show_everything(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    privacy.change(bob.id, settings={"show_typing": False, "who_can_message": "contacts"})
    assert privacy.get_settings_by_user([ada.id, bob.id]) == {
        ada.id: Settings(),
        bob.id: Settings(show_typing=False, who_can_message="contacts"),
    }


def test_privacy_change_keeps_the_other_settings(somebody: Make) -> None:
    ada = somebody()
    privacy.change(ada.id, settings={"show_typing": False})
    privacy.change(ada.id, settings={"show_last_seen": False})
    assert privacy.get_settings(ada.id) == Settings(show_typing=False, show_last_seen=False)


def test_device_override_can_only_be_stricter_than_the_user(somebody: Make) -> None:
    ada = somebody()
    other = DeviceId(devices.add(ada.id).pk)
    overrides = {ada.device_id: {"send_read_receipts": False, "show_typing": True}}
    privacy.change(ada.id, settings={"show_typing": False}, overrides=overrides)
    assert privacy.get_device_settings(ada.id, ada.device_id) == Settings(send_read_receipts=False, show_typing=False)
    assert privacy.get_device_settings(ada.id, other) == Settings(show_typing=False)
    privacy.change(ada.id, settings={}, overrides={ada.device_id: {"send_read_receipts": None}})
    assert privacy.get_device_settings(ada.id, ada.device_id) == Settings(show_typing=False)


def test_override_for_another_users_device_changes_nothing(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    with pytest.raises(NotFound):
        privacy.change(ada.id, settings={"show_typing": False}, overrides={bob.device_id: {"show_typing": False}})
    assert privacy.get_settings(ada.id) == Settings()
    assert privacy.get_overrides(bob.id) == {}


def test_privacy_change_reads_and_writes_the_row_once(somebody: Make) -> None:
    person = somebody()
    privacy.change(person.id, settings={"show_typing": False})

    with CaptureQueriesContext(connection) as executed:
        privacy.change(person.id, settings={"send_read_receipts": False})

    touching = [query["sql"].split()[0] for query in executed if "accounts_privacy" in query["sql"]]
    assert touching == ["SELECT", "UPDATE"]
