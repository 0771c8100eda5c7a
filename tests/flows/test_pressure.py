"""Behaviour while the database blocks: handshakes time out, and a connection has a limit of unanswered sends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from django.conf import settings

from gateway import async_database
from tests.clients import Client, bearer, connected, opened
from tests.factories import direct, someone
from tests.servers import Server, serve

IN_FLIGHT = 2


@pytest.fixture(scope="module")
def limited_server(open_database: None) -> Iterator[Server]:
    """A process with a handshake timeout of 1 s and a limit of two unanswered sends a connection."""
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_LIMIT_HANDSHAKE_TIMEOUT="1",
        PARLEY_LIMIT_IN_FLIGHT=str(IN_FLIGHT),
    ) as running:
        yield running


@asynccontextmanager
async def hold_lock(sql: str, *values: Any) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Hold a lock for the length of a block."""
    session = await async_database._connect()
    try:
        async with session.transaction():
            await session.execute(sql, values)
            yield session
    finally:
        await session.close()


async def is_answered(client: Client) -> bool:
    """Say whether a ping is answered while the lock is held."""
    await client.send("ping", {})
    try:
        async with asyncio.timeout(0.5):
            await client.expect("pong")
    except TimeoutError:
        return False
    return True


async def test_slow_handshake_is_closed(limited_server: Server) -> None:
    person = someone()

    async with (
        hold_lock("LOCK TABLE accounts_device IN ACCESS EXCLUSIVE MODE"),
        opened(limited_server, headers=bearer(person.access)) as client,
    ):
        code = await client.closed()
    async with connected(limited_server, person) as client:
        assert client.hello["userId"] == str(person.id)

    assert code == 4410


async def test_server_stops_reading_at_the_limit_of_unanswered_sends(limited_server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    async with connected(limited_server, ada) as client:
        async with hold_lock("SELECT FROM chat_conversation WHERE id = %s FOR UPDATE", chat):
            payload = {"chatId": str(chat), "content": "waits"}
            ids = [await client.send("message.send", payload) for _ in range(IN_FLIGHT)]
            below = await is_answered(client)
            ids.append(await client.send("message.send", payload))
            above = await is_answered(client)
        acks = [await client.ack(id_) for id_ in ids]
        await client.expect("pong")

    assert (below, above) == (True, False)
    assert [ack["seq"] for ack in acks] == [1, 2, 3]
