"""What the tests of chat share: limits out of the way, and what was told without anybody to hear it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from gateway import bus
from gateway.bus import Event
from tests.factories import Someone, crowd

GENEROUS = {
    "messages_per_second": 1e6,
    "messages_burst": 1_000_000,
    "messages_per_minute": 1_000_000,
    "stranger_messages_per_minute": 1_000_000,
    "groups_per_day": 1_000_000,
    "joins_per_day": 1_000_000,
    "recipients_per_hour": 1_000_000,
    "changes_per_minute": 1_000_000,
}


@pytest.fixture(autouse=True)
def generous(settings: Settings) -> None:
    """A test sends more in a second than a person; tests of the limits set their own."""
    settings.LIMITS = replace(settings.LIMITS, **GENEROUS)


@pytest.fixture(scope="session")
def many(open_database: None) -> list[Someone]:
    """199 people who do nothing but be members."""
    return crowd(199)


@pytest.fixture
def told() -> Iterator[list[Event]]:
    """What was handed to the hub during the test: this process's is replaced by a list."""
    taken: list[Event] = []
    before = bus._hub
    bus.attach(taken.append)
    yield taken
    bus.attach(before)
