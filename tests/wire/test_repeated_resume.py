"""Repeated resumes: an interrupted replay is repeated in full, and abandoned connections do not count for the cap."""

import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import msgspec

from chat.models import Message
from gateway.redis_clients import thread_client
from tests.clients import bearer, connected, opened
from tests.factories import another_device, direct, say, someone
from tests.servers import Server
from tests.wire.conftest import Two
from tests.wire.test_resume import contents, left, saved

MINUTE = 60.0


async def test_interrupted_replay_is_repeated_in_full(either_server: Server) -> None:
    """The client got hello and its token, but perhaps nothing of the replay after it."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    token = await left(either_server, bob, focus=chat)
    for number in range(3):
        say(ada, chat, f"{number}")
    # All of that was a minute ago.
    record = msgspec.structs.replace(await saved(token), since=time.time() - MINUTE)
    thread_client().set(f"resume:{token}", msgspec.msgpack.encode(record))
    long_ago = datetime.now(UTC) - timedelta(seconds=MINUTE / 2)
    Message.objects.filter(conversation_id=chat).update(created_at=long_ago)

    for _ in range(3):
        async with opened(either_server, f"?resume={token}", headers=bearer(bob.access)) as broken:
            hello = await broken.expect("hello")
            assert hello["resumed"] is True
            token = hello["resumeToken"]
    async with connected(either_server, bob, f"?resume={token}") as client:
        assert client.hello["resumed"] is True
        assert contents(await client.settled()) == ["0", "1", "2"]


async def test_flapping_device_does_not_close_the_users_other_connections(two: Two) -> None:
    """Each resume leaves a connection whose end the server has not noticed; it does not count for the cap of five."""
    ada = someone()
    phone = another_device(ada)
    async with AsyncExitStack() as stack, connected(two.one, ada) as desk:
        last = await stack.enter_async_context(connected(two.one, phone))
        for server in [two.one, two.other] * 3:
            query = f"?resume={last.hello['resumeToken']}"
            behind, last = last, await stack.enter_async_context(connected(server, phone, query))
            assert last.hello["resumed"] is True
            assert await behind.closed() == 4409
        assert await desk.settled() == []
        assert await last.settled() == []
