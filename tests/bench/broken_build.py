"""A web process broken on purpose: it acks messages before the commit. `python -m tests.bench.broken_build` runs it.

The statement runs, the acks are sent, and the commit follows 20 ms later, so a crash in between loses acked messages.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from config import serve  # First: it sets the role before Django is loaded.

from gateway.statements import Statements  # isort: skip

LATER_SECONDS = 0.02
commits: dict[Statements, "asyncio.Task[None]"] = {}
execute = Statements._execute


async def execute_before_commit(
    statements: Statements, sql: str, values: Sequence[Any] | Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return the rows of a batch at once; commit later, together with batches that arrive in between."""
    if statements._name != "ingest":
        return await execute(statements, sql, values)
    if statements._connection is None:
        await execute(statements, "SELECT 1", [])
    connection = statements._connection
    assert connection is not None
    if connection.autocommit:
        await connection.set_autocommit(False)
    try:
        rows = await execute(statements, sql, values)
    except psycopg.Error:
        await connection.rollback()
        raise
    if statements not in commits:
        commits[statements] = asyncio.create_task(commit(statements, connection))
    return rows


async def commit(statements: Statements, connection: psycopg.AsyncConnection[Any]) -> None:
    await asyncio.sleep(LATER_SECONDS)
    del commits[statements]
    await connection.commit()


if __name__ == "__main__":
    Statements._execute = execute_before_commit  # type: ignore[method-assign, assignment]
    serve.main(sys.argv[1:])
