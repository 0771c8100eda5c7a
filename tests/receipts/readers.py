"""Many members who mark messages at the same time, and the receipts that an observer gets."""

import asyncio
from contextlib import AsyncExitStack

from tests.clients import Client, Frame, connected
from tests.factories import Someone
from tests.servers import Server


async def send_all_marks(
    server: Server, readers: list[Someone], chat: int, last: int, *, observer: Client
) -> list[Frame]:
    """Let all readers mark each seq up to `last` as delivered and seen; return the receipts of `observer`."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server, reader)) for reader in readers]
        await observer.settled()
        for seq in range(1, last + 1):
            for type_ in ("message.delivered", "read.mark"):
                await asyncio.gather(*(client.send(type_, {"chatId": str(chat), "seq": seq}) for client in clients))
        frames: list[Frame] = []
        pending = {str(reader.id) for reader in readers}
        while pending:
            frame = await observer.expect_frame("read.receipt")
            frames.append(frame)
            pending -= {r["userId"] for r in frame["payload"]["receipts"] if r["seq"] == last}
        return sorted([*frames, *(f for f in observer.frames if f["type"].endswith(".receipt"))], key=lambda f: f["id"])
