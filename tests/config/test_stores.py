"""Timeouts of database connections, of Django and of the event loop (K29)."""

from typing import Any

from django.db import connection

from config.settings import CONNECTION_TIMEOUTS, database
from gateway.async_database import PreparedConnection


def timeouts_of(parameters: dict[str, str]) -> dict[str, Any]:
    """Return the timeouts among libpq's parameters of a connection."""
    return {name: int(parameters[name]) for name in CONNECTION_TIMEOUTS if name in parameters}


async def test_prepared_connection_times_out_on_a_silent_host() -> None:
    """K29."""
    database = PreparedConnection("a lane")
    assert await database.rows("SELECT 1", []) == [(1,)]
    assert database._connection
    assert timeouts_of(database._connection.info.get_parameters()) == CONNECTION_TIMEOUTS
    await database._connection.close()


def test_django_connection_has_the_same_timeouts() -> None:
    connection.ensure_connection()
    assert timeouts_of(connection.connection.info.get_parameters()) == CONNECTION_TIMEOUTS


def test_database_url_overrides_the_timeouts() -> None:
    options = database("postgresql://parley@db.example.org/parley?connect_timeout=2", "worker")["OPTIONS"]
    assert options["connect_timeout"] == "2"
    assert CONNECTION_TIMEOUTS["connect_timeout"] == 5
