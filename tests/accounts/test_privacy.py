"""Privacy settings as data."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import devices, privacy
from accounts.privacy import Settings
from gateway.errors import NotFound
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]


def test_everything_is_shown_until_somebody_says_otherwise(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    privacy.change(bob.id, settings={"show_typing": False, "who_can_message": "contacts"})
    assert privacy.of_many([ada.id, bob.id]) == {
        ada.id: Settings(),
        bob.id: Settings(show_typing=False, who_can_message="contacts"),
    }


def test_a_change_leaves_the_other_settings_alone(somebody: Make) -> None:
    ada = somebody()
    privacy.change(ada.id, settings={"show_typing": False})
    privacy.change(ada.id, settings={"show_last_seen": False})
    assert privacy.of(ada.id) == Settings(show_typing=False, show_last_seen=False)


def test_a_device_may_be_stricter_than_its_user_and_never_laxer(somebody: Make) -> None:
    ada = somebody()
    other = devices.add(ada.id)
    overrides = {ada.device.pk: {"send_read_receipts": False, "show_typing": True}}
    privacy.change(ada.id, settings={"show_typing": False}, overrides=overrides)
    assert privacy.on_device(ada.id, ada.device.pk) == Settings(send_read_receipts=False, show_typing=False)
    assert privacy.on_device(ada.id, other.pk) == Settings(show_typing=False)
    privacy.change(ada.id, settings={}, overrides={ada.device.pk: {"send_read_receipts": None}})
    assert privacy.on_device(ada.id, ada.device.pk) == Settings(show_typing=False)


def test_an_override_for_anothers_device_changes_nothing_at_all(somebody: Make) -> None:
    ada, bob = somebody(), somebody()
    with pytest.raises(NotFound):
        privacy.change(ada.id, settings={"show_typing": False}, overrides={bob.device.pk: {"show_typing": False}})
    assert privacy.of(ada.id) == Settings()
    assert privacy.overrides_of(bob.id) == {}


def test_change_of_one_switch_reads_and_writes_the_settings_once(somebody: Make) -> None:
    person = somebody()
    privacy.change(person.user.pk, settings={"show_typing": False})

    with CaptureQueriesContext(connection) as executed:
        privacy.change(person.user.pk, settings={"send_read_receipts": False})

    touching = [query["sql"].split()[0] for query in executed if "accounts_privacy" in query["sql"]]
    assert touching == ["SELECT", "UPDATE"]
