"""Two processes with short periods for presence, so that tests wait milliseconds instead of seconds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.conf import settings

from tests.servers import Server, serve

BRISK = {
    "PARLEY_LIMIT_PRESENCE_BATCH": "0.05",
    "PARLEY_LIMIT_PRESENCE_UPDATE_EVERY": "0.01",
    "PARLEY_LIMIT_TYPING_PER_SECOND": "1000",
}


class Pair(NamedTuple):
    """Two web processes on one database and one Redis."""

    one: Server
    other: Server


@pytest.fixture(scope="session")
def pair(open_database: None) -> Iterator[Pair]:
    """A process on uvicorn and one on Daphne, which send changes of presence after 50 ms."""
    database = settings.DATABASES["default"]["NAME"]
    on_daphne: Any = {"PARLEY_SERVER": "daphne", **BRISK}
    on_uvicorn: Any = BRISK
    with serve(database, **on_uvicorn) as one, serve(database, **on_daphne) as other:
        yield Pair(one, other)
