"""Servers for tests that need two, or limits of their own."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.conf import settings

from tests.servers import Server, serve

STRICT = {
    "PARLEY_LIMIT_MESSAGES_PER_SECOND": "10",
    "PARLEY_LIMIT_MESSAGES_BURST": "20",
    "PARLEY_LIMIT_MESSAGES_PER_MINUTE": "25",
    "PARLEY_LIMIT_STRANGER_MESSAGES_PER_MINUTE": "3",
    "PARLEY_LIMIT_URGENT_PER_HOUR": "3",
}


class Two(NamedTuple):
    """Two web processes on one database and one Redis."""

    one: Server
    other: Server


@pytest.fixture(scope="session")
def two(server: Server) -> Iterator[Two]:
    """The shared process on uvicorn, and another on Daphne."""
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_SERVER="daphne") as other:
        yield Two(server, other)


@pytest.fixture(scope="session", params=["uvicorn", "daphne"])
def impatient(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A process that closes silent connections after 1.5 s, and accepts five handshakes a minute."""
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_SERVER=request.param,
        PARLEY_LIMIT_HEARTBEAT_TIMEOUT="1.5",
        PARLEY_LIMIT_HANDSHAKES_PER_MINUTE="5",
    ) as running:
        yield running


@pytest.fixture(scope="session")
def strict(open_database: None) -> Iterator[Server]:
    """A process with the message limits of protocol 2.7, but lower numbers a minute."""
    with serve(settings.DATABASES["default"]["NAME"], **STRICT) as running:  # type: ignore[arg-type]
        yield running
