"""What every connection to the database bears, Django's and the event loop's own (K29)."""

from typing import Any

from django.db import connection

from config.settings import PATIENCE, database
from gateway.async_database import PreparedConnection


def borne(parameters: dict[str, str]) -> dict[str, Any]:
    """Return what of libpq's parameters of a connection is its patience."""
    return {name: int(parameters[name]) for name in PATIENCE if name in parameters}


async def test_prepared_connection_times_out_on_a_silent_host() -> None:
    """K29."""
    database = PreparedConnection("a lane")
    assert await database.rows("SELECT 1", []) == [(1,)]
    assert database._connection
    assert borne(database._connection.info.get_parameters()) == PATIENCE
    await database._connection.close()


def test_django_connection_has_the_same_timeouts() -> None:
    connection.ensure_connection()
    assert borne(connection.connection.info.get_parameters()) == PATIENCE


def test_database_url_overrides_the_timeouts() -> None:
    options = database("postgresql://parley@db.example.org/parley?connect_timeout=2", "worker")["OPTIONS"]
    assert options["connect_timeout"] == "2"
    assert PATIENCE["connect_timeout"] == 5
