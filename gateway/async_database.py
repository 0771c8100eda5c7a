"""A database connection on the event loop, for the few statements that are too hot for a thread."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection as django_connection

from gateway.errors import Overloaded

logger = logging.getLogger(__name__)
# K29: a statement is held so long while the database fails over, then refused.
RETRY_FOR_SECONDS = 5.0
RETRY_INTERVAL = 0.2
DJANGO_PARAMETERS = ("cursor_factory", "context", "prepare_threshold", "pool")


def array(values: Sequence[int | bool | str | UUID | None]) -> str:
    """Return one column of a batch as PostgreSQL writes an array (8.15.6), to be cast: `%s::bigint[]`.

    psycopg takes lists too, element by element: a batch of 64 messages costs it half a millisecond more (docs/performance.md).
    """
    return "{" + ",".join(["NULL" if value is None else _element(value) for value in values]) + "}"


def _element(value: int | bool | str | UUID) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


class PreparedConnection:
    """One connection, one statement at a time, each its own transaction; opened at need, anew when it breaks.

    `broke` says that it has broken since the caller last set it to False: the statement before may have been committed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self.broke = False

    async def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a prepared statement and return its rows, again on a new connection where one broke.

        Raises Overloaded when the database stays away for RETRY_FOR_SECONDS, and psycopg.Error for the statement's own fault.
        """
        deadline = asyncio.get_running_loop().time() + RETRY_FOR_SECONDS
        while True:
            try:
                return await self._execute(sql, values)
            except (psycopg.OperationalError, OSError) as fault:
                logger.warning("%s: the database is away (%s)", self._name, type(fault).__name__)
                self.broke = True
                await self._disconnect()
                if asyncio.get_running_loop().time() > deadline:
                    raise Overloaded(retry_after=5) from fault
                await asyncio.sleep(RETRY_INTERVAL)

    async def _execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = await _connect()
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(sql, values, prepare=True)
        return await cursor.fetchall()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _connect() -> psycopg.AsyncConnection[Any]:
    parameters = django_connection.get_connection_params()
    own = {name: value for name, value in parameters.items() if name not in DJANGO_PARAMETERS}
    connection = await psycopg.AsyncConnection.connect(**own, autocommit=True)
    connection.prepare_threshold = 0
    # Planned once: for sixteen partitions PostgreSQL would plan at every call, which takes eight times the execution.
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    return connection
