"""A PostgreSQL connection on the event loop, for the few statements that run too often for a thread."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection as django_connection

from gateway.errors import Overloaded

logger = logging.getLogger(__name__)
# K29: a statement is retried for so long while the database fails over; then its caller gets Overloaded.
RETRY_FOR_SECONDS = 5.0
RETRY_INTERVAL = 0.2
DJANGO_PARAMETERS = ("cursor_factory", "context", "prepare_threshold", "pool")


def array(values: Sequence[int | bool | str | UUID | None]) -> str:
    """Return one column of a batch as PostgreSQL array text (manual 8.15.6); the statement casts it: `%s::bigint[]`.

    psycopg also accepts lists, but converts them element by element: 0.5 ms more for a batch of 64 messages
    (docs/performance.md).
    """
    return "{" + ",".join(["NULL" if value is None else _element(value) for value in values]) + "}"


def _element(value: int | bool | str | UUID) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


class PreparedConnection:
    """One connection that runs one prepared statement at a time, each in its own transaction.

    It connects at the first statement and reconnects after a failure. `broke` turns true when the connection breaks;
    the caller resets it. A statement that was retried after a break may have been committed by its first try.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self.broke = False

    async def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a prepared statement and return its rows; retry on a new connection when one breaks.

        Raises Overloaded when the database is unavailable for RETRY_FOR_SECONDS, and psycopg.Error when the statement
        itself is at fault.
        """
        deadline = asyncio.get_running_loop().time() + RETRY_FOR_SECONDS
        while True:
            try:
                return await self._execute(sql, values)
            except (psycopg.OperationalError, OSError) as fault:
                logger.warning("%s: the database is unavailable (%s)", self._name, type(fault).__name__)
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
    # A generic plan is made once. With sixteen partitions, planning a call takes eight times as long as executing it.
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    return connection
