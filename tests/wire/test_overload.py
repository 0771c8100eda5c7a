"""An overloaded process keeps its connections and refuses new ones with a reconnect delay (F308)."""

import asyncio
import signal

from django.conf import settings

from tests.clients import Close, bearer, connected, opened
from tests.factories import Someone, direct, someone
from tests.servers import Server, serve

STANDSTILL_SECONDS = 2.5


async def turned_away(server: Server, person: Someone) -> Close:
    """Open connections until one is refused. Return its close."""
    while True:
        async with opened(server, headers=bearer(person.access)) as newcomer:
            if await newcomer.first() != "hello":
                return Close(newcomer.socket.close_code or 0, newcomer.socket.close_reason or "")


async def test_overloaded_process_keeps_connections_and_refuses_new_ones(open_database: None) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_LIMIT_OVERLOAD_LAG="1") as server:
        async with connected(server, ada) as kept:
            # A loop that stands still for so long is what overload looks like from within.
            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STANDSTILL_SECONDS)
            server.process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(10):
                close = await turned_away(server, bob)
            assert (close.code, 1 <= int(close.reason) <= 10) == (4503, True)
            assert (await kept.say(chat))["status"] == "ok"
