"""State and last seen of a user for one viewer, as settings of user and device permit (F156)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from accounts import privacy
from accounts.models import Device
from presence import states
from presence.connections import PresenceReporter
from presence.states import State
from tests.factories import Someone, another_device, group, someone
from tests.presence.simulation import Clock, Published, make_connection

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def published() -> Iterator[None]:
    with Published():
        yield


def read_state(viewer: Someone, user: Someone) -> State:
    return states.read_states([(viewer.id, user.id)])[viewer.id, user.id]


async def connect(device: Someone) -> None:
    """Open a connection of a device."""
    await PresenceReporter(Clock()).report_opened(make_connection(device.id, device.device_id))


async def test_user_who_hides_online_status_shows_no_moving_last_seen() -> None:
    """A last seen of a few seconds ago would show that the user is online."""
    ada, bob = someone(), someone()
    group(ada, bob)
    Device.objects.filter(pk=ada.device_id).update(last_shown_at=LONG_AGO)
    privacy.change(ada.id, settings={"show_online_status": False})
    await connect(ada)

    assert read_state(bob, ada) == State("offline")


async def test_device_that_hides_online_status_shows_no_moving_last_seen() -> None:
    ada, bob = someone(), someone()
    phone = another_device(ada)
    group(ada, bob)
    Device.objects.filter(pk=ada.device_id).update(last_shown_at=LONG_AGO)
    Device.objects.filter(pk=phone.device_id).update(last_shown_at=datetime.now(UTC))
    privacy.change(ada.id, settings={}, overrides={phone.device_id: {"show_online_status": False}})
    await connect(phone)

    assert read_state(bob, ada) == State("offline", LONG_AGO.timestamp())
