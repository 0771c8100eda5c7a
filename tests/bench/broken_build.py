"""A web process broken on purpose: it acks messages before the commit. `python -m tests.bench.broken_build` runs it.

The statement runs, the acks are sent, and the commit follows 20 ms later, so a crash in between loses acked messages.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from config import serve  # First: it sets the role before Django is loaded.

from gateway.async_database import PreparedConnection  # isort: skip

LATER_SECONDS = 0.02
commits: dict[PreparedConnection, "asyncio.Task[None]"] = {}
execute = PreparedConnection._execute


async def execute_before_commit(
    database: PreparedConnection, sql: str, values: Sequence[Any] | Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return the rows of a batch at once; commit later, together with batches that arrive in between."""
    if database._name != "ingest":
        return await execute(database, sql, values)
    if database._connection is None:
        await execute(database, "SELECT 1", [])
    connection = database._connection
    assert connection is not None
    if connection.autocommit:
        await connection.set_autocommit(False)
    try:
        rows = await execute(database, sql, values)
    except psycopg.Error:
        await connection.rollback()
        raise
    if database not in commits:
        commits[database] = asyncio.create_task(commit(database, connection))
    return rows


async def commit(database: PreparedConnection, connection: psycopg.AsyncConnection[Any]) -> None:
    await asyncio.sleep(LATER_SECONDS)
    del commits[database]
    await connection.commit()


if __name__ == "__main__":
    PreparedConnection._execute = execute_before_commit  # type: ignore[method-assign, assignment]
    serve.main(sys.argv[1:])
