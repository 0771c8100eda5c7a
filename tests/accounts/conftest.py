"""Users and clients for the tests of accounts. Each is unique, because test data stays in the database."""

import secrets
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import devices, tokens, users
from accounts.models import Device, User
from accounts.tokens import Pair
from gateway import bus
from gateway.bus import Event
from gateway.ids import DeviceId, UserId

PASSWORD = "correct-horse-7"


class Somebody(NamedTuple):
    """A registered user with a signed-in device."""

    user: User
    device: Device
    pair: Pair

    @property
    def id(self) -> UserId:
        return UserId(self.user.pk)

    @property
    def device_id(self) -> DeviceId:
        return DeviceId(self.device.pk)


def new_email() -> str:
    return f"{secrets.token_hex(8)}@example.org"


@pytest.fixture
def somebody() -> Callable[..., Somebody]:
    """Return a function that registers a user with a unique e-mail address."""

    def make(name: str = "Somebody", *, password: str | None = None, email: str | None = None) -> Somebody:
        user = users.register(display_name=name, email=email or new_email(), password=password)
        device = devices.add(UserId(user.pk), name="test")
        return Somebody(user, device, tokens.issue(device))

    return make


@pytest.fixture
def confirming(settings: Settings) -> Settings:
    """Settings under which an address must be confirmed by mail, as outside the demo, and sign-up is open."""
    settings.CONFIRM_EMAIL = settings.MAIL = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.SIGN_UP = "open"
    return settings


@pytest.fixture
def client() -> Callable[..., APIClient]:
    """Return a function that makes a REST client with its own network, signed in as `who` if given."""

    def make(who: Somebody | None = None, *, csrf: bool = False) -> APIClient:
        address = ".".join(["10", *(str(secrets.randbelow(256)) for _ in range(3))])
        api = APIClient(enforce_csrf_checks=csrf, REMOTE_ADDR=address)
        api.default_format = "json"
        if who:
            api.credentials(HTTP_AUTHORIZATION=f"Bearer {who.pair.access}")
        return api

    return make


@pytest.fixture
def published() -> Iterator[list[Event]]:
    """The events published during the test: a list replaces the hub of this process."""
    taken: list[Event] = []
    before = bus._hub
    bus.attach(taken.append)
    yield taken
    bus.attach(before)
