"""Each change of a user or a device records its event."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts import devices, tokens, users
from accounts.models import Device
from accounts.tokens import TokenReused
from outbox.models import Outbox
from tests.factories import Someone, another_device, someone

Recorded = list[tuple[str, Any]]


@pytest.fixture
def ada() -> Someone:
    person = someone("Ada")
    Outbox.objects.all().delete()
    return person


def recorded() -> Recorded:
    return [(row.event, row.data) for row in Outbox.objects.order_by("id")]


def twice(change: Callable[..., object], *arguments: int) -> None:
    change(*arguments)
    change(*arguments)


def disable_unrecorded_and_enable(ada: Someone) -> None:
    users.disable(ada.id)
    Outbox.objects.all().delete()
    twice(users.enable, ada.id)


CHANGES: dict[str, tuple[Callable[[Someone], object], Callable[[Someone], Recorded]]] = {
    "a new name": (
        lambda ada: users.change_profile(ada.id, display_name="Ada L"),
        lambda ada: [("user.changed", {"user_id": ada.id, "fields": ["display_name"]})],
    ),
    "a new picture": (
        lambda ada: users.change_profile(ada.id, avatar_url="/a.png"),
        lambda ada: [("user.changed", {"user_id": ada.id, "fields": ["avatar_url"]})],
    ),
    "disabling": (
        lambda ada: twice(users.disable, ada.id),
        lambda ada: [
            ("user.disabled", {"user_id": ada.id}),
            ("device.signed_out", {"user_id": ada.id, "device_ids": [ada.device_id]}),
        ],
    ),
    "enabling": (
        disable_unrecorded_and_enable,
        lambda ada: [("user.changed", {"user_id": ada.id, "fields": ["is_active"]})],
    ),
    "signing out": (
        lambda ada: twice(devices.sign_out, ada.id, ada.device_id),
        lambda ada: [("device.signed_out", {"user_id": ada.id, "device_ids": [ada.device_id]})],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_records_its_event_once(ada: Someone, name: str) -> None:
    change, expected = CHANGES[name]

    change(ada)

    assert recorded() == expected(ada)


def test_sign_out_of_all_devices_records_each_except_the_kept_one(ada: Someone) -> None:
    other = another_device(ada)

    devices.sign_out_all(ada.id, keep=ada.device_id)

    assert recorded() == [("device.signed_out", {"user_id": ada.id, "device_ids": [other.device_id]})]


def test_reused_refresh_token_records_the_sign_out_of_its_device(ada: Someone) -> None:
    pair = tokens.issue(Device.objects.get(id=ada.device_id))
    tokens.rotate(pair.refresh)

    with pytest.raises(TokenReused):
        tokens.rotate(pair.refresh)

    assert recorded() == [("device.signed_out", {"user_id": ada.id, "device_ids": [ada.device_id]})]
