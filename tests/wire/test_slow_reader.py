"""Somebody who stops reading: nobody else waits, memory stays bounded, nothing is left out in silence (F298–F301).

And somebody who sends faster than they are served: they wait, and the process does not keep it for them.
"""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection, transaction

from tests.clients import Client, connected, until
from tests.factories import group, someone
from tests.servers import Server, serve

TEXT = "x" * 10_000
# Eight megabytes: more than a kernel buffers.
MANY = 800
QUEUE = 200
# Thirty megabytes.
PINGS = 500
READ_SECONDS = 3
TYPED = 300
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def narrow(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    """A process that queues 200 frames for a connection."""
    with serve(
        settings.DATABASES["default"]["NAME"],
        PARLEY_SERVER=request.param,
        PARLEY_LIMIT_SEND_BUFFER_FRAMES=str(QUEUE),
        PARLEY_LIMIT_TYPING_PER_SECOND="100000",
    ) as running:
        yield running


def reads_little(server: Server) -> dict[str, Any]:
    """Return options of a connection that buffers a few kilobytes and then waits for its reader."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.connect(("127.0.0.1", server.port))
    own.setblocking(False)
    return {"sock": own, "max_queue": 1}


async def flood(client: Client, chat: int, count: int) -> None:
    """Send long messages, and wait until all are stored."""
    ids = [await client.send("message.send", {"chatId": str(chat), "content": TEXT}) for _ in range(count)]
    for id_ in ids:
        assert (await client.ack(id_))["status"] == "ok"


async def test_slow_reader_is_closed_and_syncs_without_a_gap(narrow: Server) -> None:
    ada, bob, cay = someone(), someone(), someone()
    chat = group(ada, bob, cay)
    async with (
        connected(narrow, ada) as a,
        connected(narrow, cay) as quick,
        connected(narrow, bob, **reads_little(narrow)) as slow,
    ):
        heard = asyncio.create_task(quick.news(MANY))
        await flood(a, chat, MANY)
        assert [message["seq"] for message in await heard] == list(range(1, MANY + 1))
        close = await slow.close()
        seqs = [f["payload"]["message"]["seq"] for f in slow.frames if f["type"] == "message.new"]
    assert close.code == 4413
    assert seqs == list(range(1, len(seqs) + 1))
    assert 0 < len(seqs) < MANY


async def test_cosmetic_frames_are_dropped_before_messages(narrow: Server) -> None:
    """One slow reader measures how much fits; another gets a little less, much typing, and then more messages."""
    ada, bob, cay = someone(), someone(), someone()
    chat, other = group(ada, bob), group(ada, cay)
    async with connected(narrow, ada) as a, connected(narrow, bob, **reads_little(narrow)) as measured:
        await flood(a, chat, MANY)
        await measured.close()
        fits = len([frame for frame in measured.frames if frame["type"] == "message.new"])
        async with connected(narrow, cay, **reads_little(narrow)) as slow:
            await flood(a, other, fits)
            for _ in range(TYPED):
                await a.send("typing.start", {"chatId": str(other)})
                await a.send("typing.stop", {"chatId": str(other)})
            await flood(a, other, QUEUE // 4)
            news = await slow.news(fits + QUEUE // 4)
            typed = [frame for frame in await slow.settled() if frame["type"] == "typing.indicator"]
    assert [message["seq"] for message in news] == list(range(1, fits + QUEUE // 4 + 1))
    assert len(typed) < TYPED


async def test_client_that_stops_reading_is_aborted_and_freed(narrow: Server) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    process = psutil.Process(narrow.process.pid)
    async with connected(narrow, ada) as a, connected(narrow, bob, **reads_little(narrow)) as slow:
        port = slow.socket.local_address[1]

        def is_open() -> bool:
            return any(
                c.raddr and c.raddr.port == port for c in process.net_connections("tcp") if c.status != "TIME_WAIT"
            )

        assert is_open()
        # What a process grows by when it first takes so much from one sender.
        await flood(a, group(ada, someone()), 2 * MANY)
        before = process.memory_info().rss
        await flood(a, chat, 2 * MANY)
        # Kept for the one who does not read, that would be 16 MB and more; its queue may hold two.
        assert process.memory_info().rss - before < 10 * MEGABYTE
        await until(lambda: not is_open())
        assert (await a.say(chat, "we go on"))["status"] == "ok"


async def test_client_that_sends_too_fast_is_not_read_ahead_without_limit(narrow: Server) -> None:
    """While a frame waits for a lock, only some later frames are read; all are answered in the end."""
    ada = someone()
    chat = group(ada, someone())
    async with connected(narrow, ada) as client:
        said = await client.say(chat)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM chat_conversation WHERE id = %s FOR UPDATE", [chat])
            edited = await client.send("message.edit", {"messageId": said["messageId"], "content": "edited"})
            flooding = asyncio.create_task(ping(client, PINGS))
            await asyncio.wait([flooding], timeout=READ_SECONDS)
            assert not flooding.done()
        assert (await client.ack(edited))["status"] == "ok"
        await flooding
        for _ in range(PINGS):
            await client.expect("pong")


async def ping(client: Client, count: int) -> None:
    """Send pings of 60 KB."""
    for _ in range(count):
        await client.send("ping", {"x": "x" * 60_000})
