"""What every connection to the database bears, Django's and the event loop's own (K29)."""

from typing import Any

from django.db import connection

from config.settings import PATIENCE, database
from gateway.async_database import PreparedConnection


def borne(parameters: dict[str, str]) -> dict[str, Any]:
    """Return what of libpq's parameters of a connection is its patience."""
    return {name: int(parameters[name]) for name in PATIENCE if name in parameters}


async def test_a_host_that_is_gone_without_a_word_holds_no_connection_for_long() -> None:
    """K29."""
    database = PreparedConnection("a lane")
    assert await database.rows("SELECT 1", []) == [(1,)]
    assert database._connection
    assert borne(database._connection.info.get_parameters()) == PATIENCE
    await database._connection.close()


def test_django_connects_with_the_same_patience() -> None:
    connection.ensure_connection()
    assert borne(connection.connection.info.get_parameters()) == PATIENCE


def test_an_address_may_say_otherwise() -> None:
    options = database("postgresql://parley@db.example.org/parley?connect_timeout=2", "worker")["OPTIONS"]
    assert options["connect_timeout"] == "2"
    assert PATIENCE["connect_timeout"] == 5
