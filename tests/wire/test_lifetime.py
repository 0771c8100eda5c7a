"""The lifetime of a connection: heartbeats, token expiry, the cap of five, the handshake rate (protocol 2.1, 2.6)."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.conf import settings as active
from pytest_django import Settings

from accounts import devices, tokens
from gateway.redis_clients import thread_client
from tests.clients import Client, bearer, connected, opened, until
from tests.factories import Someone, another_device, direct, someone
from tests.servers import Server, serve
from tests.wire.conftest import Two

PACE = 0.2


async def until_done(awaited: Awaitable[Any], act: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat an action, at a client's pace, until another task is done. Return its result."""
    task = asyncio.ensure_future(awaited)
    while not task.done():
        await act()
        await asyncio.wait([task], timeout=PACE)
    return task.result()


# --- heartbeat --------------------------------------------------------------------------------------------------------


async def test_silent_connection_is_closed_and_pinging_one_stays(impatient: Server) -> None:
    async with connected(impatient, someone()) as silent, connected(impatient, someone()) as alive:

        async def ping() -> None:
            await alive.send("ping", {})
            await alive.expect("pong")

        assert await until_done(silent.closed(), ping) == 4408
        assert await alive.settled() == []


async def test_websocket_ping_counts_as_heartbeat(impatient: Server) -> None:
    async with connected(impatient, someone()) as silent, connected(impatient, someone()) as alive:

        async def ping() -> None:
            await (await alive.socket.ping())

        assert await until_done(silent.closed(), ping) == 4408
        assert await alive.settled() == []


async def test_frames_sent_to_a_silent_connection_do_not_keep_it_open(impatient: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    async with connected(impatient, ada) as client, connected(impatient, bob) as silent:
        assert await until_done(silent.closed(), lambda: client.say(chat)) == 4408


# --- the token's end --------------------------------------------------------------------------------------------------


def short_lived(person: Someone, settings: Settings, seconds: int) -> str:
    """Return an access token of the same device that expires soon."""
    usual = settings.LIMITS
    settings.LIMITS = dataclasses.replace(usual, access_token=seconds)
    token = tokens.issue(devices.get_active(person.id, person.device_id)).access
    settings.LIMITS = usual
    return token


async def test_connection_is_warned_of_token_expiry_and_then_closed(either_server: Server, settings: Settings) -> None:
    ada = someone()
    async with opened(either_server, headers=bearer(short_lived(ada, settings, 3))) as client:
        hello = await client.expect("hello")
        warning = await client.expect("token.refresh")
        assert warning["expiresAt"] == hello["tokenExpiresAt"]
        assert await client.closed() == 4401
    assert [frame["type"] for frame in client.frames] == []


async def test_renewed_token_keeps_the_connection_until_its_own_expiry_warning(
    either_server: Server, settings: Settings
) -> None:
    ada = someone()
    first = short_lived(ada, settings, 2)
    async with (
        opened(either_server, headers=bearer(first)) as ending,
        opened(either_server, headers=bearer(first)) as renewed,
    ):
        await renewed.expect("token.refresh")
        later = short_lived(ada, settings, 30)
        assert (await renewed.call("auth.renew", {"token": later}))["status"] == "ok"
        assert await ending.closed() == 4401
        assert (await renewed.expect("token.refresh"))["expiresAt"]
        assert (await renewed.call("auth.renew", {"token": ada.access}))["status"] == "ok"
        await renewed.settled()


async def test_token_of_another_user_cannot_renew_a_connection(either_server: Server, settings: Settings) -> None:
    ada = someone()
    wrong = {
        "nonsense": "UNAUTHORIZED",
        "": "UNAUTHORIZED",
        someone().access: "UNAUTHORIZED",
        another_device(ada).access: "UNAUTHORIZED",
        short_lived(ada, settings, -1): "TOKEN_EXPIRED",
    }
    async with connected(either_server, ada) as client:
        for token, code in wrong.items():
            ack = await client.call("auth.renew", {"token": token})
            assert (ack["status"], ack["error"]["code"]) == ("error", code)
        assert await client.settled() == []


# --- five connections -------------------------------------------------------------------------------------------------


async def open_many(stack: AsyncExitStack, servers: list[Server], person: Someone) -> list[Client]:
    return [await stack.enter_async_context(connected(server, person)) for server in servers]


async def test_sixth_connection_closes_the_oldest(either_server: Server) -> None:
    ada = someone()
    async with AsyncExitStack() as stack, connected(either_server, someone()) as stranger:
        clients = await open_many(stack, [either_server] * 6, ada)
        assert await clients[0].closed() == 4409
        for client in [*clients[1:], stranger]:
            assert await client.settled() == []


async def test_sixth_connection_closes_the_oldest_in_another_process(two: Two) -> None:
    ada = someone()
    async with AsyncExitStack() as stack:
        clients = await open_many(stack, [two.other, two.one, two.other, two.one, two.other, two.one, two.one], ada)
        assert [await clients[0].closed(), await clients[1].closed()] == [4409, 4409]
        for client in clients[2:]:
            assert await client.settled() == []


async def test_closed_connection_frees_its_place(two: Two) -> None:
    ada = someone()
    async with AsyncExitStack() as stack:
        clients = await open_many(stack, [two.one] * 4, ada)
        for server in (two.one, two.other, two.one):
            async with connected(server, ada) as fifth:
                assert await fifth.settled() == []
            # The server frees the place after the close frame, by a round trip to Redis.
            await until(lambda: thread_client().zcard(f"sockets:{ada.id}") == len(clients))
        for client in clients:
            assert await client.settled() == []


async def test_handshakes_above_the_rate_are_refused(impatient: Server) -> None:
    ada = someone()
    for _ in range(5):
        async with connected(impatient, ada):
            pass
    async with opened(impatient, headers=bearer(ada.access)) as client:
        assert await client.closed() == 4429
    assert client.frames == []
    async with connected(impatient, someone()):
        pass


# --- the handshake itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET /ws/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgra"])
async def test_connection_without_a_handshake_is_closed(open_database: None, begun: bytes) -> None:
    """On uvicorn; on Daphne, Twisted closes such connections after a minute."""
    with serve(active.DATABASES["default"]["NAME"], PARLEY_LIMIT_HANDSHAKE_TIMEOUT="1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begun)
        async with asyncio.timeout(5):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        writer.close()


@pytest.mark.parametrize(
    "line", [b"Cookie: a=" + b"x" * 9000, b"X-Many: 1\r\n" * 200 + b"X-Last: 1"], ids=["long", "many"]
)
async def test_oversized_handshake_is_answered_and_closed(server: Server, line: bytes) -> None:
    """On uvicorn; Daphne resets such a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = b"GET /ws/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(head + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + line)
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(10):
        answered = await reader.read()
    writer.close()
    assert answered.startswith(b"HTTP/1.1 ")


async def test_later_request_of_a_connection_has_its_own_time(open_database: None) -> None:
    """On uvicorn, whose time limit between requests ends with the first byte of the next one."""
    with serve(active.DATABASES["default"]["NAME"], PARLEY_LIMIT_HANDSHAKE_TIMEOUT="1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /healthz HTTP/1.1\r\nHo")
        async with asyncio.timeout(5):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        writer.close()


async def test_headers_above_64_kib_are_refused_while_they_come(server: Server) -> None:
    """On uvicorn, which reads the headers of a request without a limit."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
    writer.write(b"x" * 64 * 1024)
    async with asyncio.timeout(10):
        answered = await reader.readline()
    writer.close()
    assert answered == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
