"""A protocol client for tests on a real socket: it sends frames, keeps received ones and waits for expected ones."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import websockets
from websockets.asyncio.client import ClientConnection

from tests.factories import Someone
from tests.servers import Server

WAIT_SECONDS = 10
SUBPROTOCOLS = ("parley.v1",)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Frame = dict[str, Any]


class Close(NamedTuple):
    """The close frame of a connection."""

    code: int
    reason: str


class Client:
    """One connection. `frames` holds the received frames that no `expect` has returned yet."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.hello: Frame = {}
        self.frames: list[Frame] = []

    async def send(self, type_: str, payload: Any, *, id_: str | None = None, **more: Any) -> str:
        """Send a frame and return its id."""
        id_ = id_ or str(uuid4())
        frame = {"type": type_, "id": id_, "payload": payload, **more}
        await self.socket.send(json.dumps(frame, ensure_ascii=False))
        return id_

    async def send_raw(self, text: str | bytes) -> None:
        """Send a text frame unchanged, even if it is invalid UTF-8."""
        await self.socket.send(text, text=True)

    async def call(self, type_: str, payload: Any, *, id_: str | None = None) -> Frame:
        """Send a frame and return the payload of its ack."""
        return await self.ack(await self.send(type_, payload, id_=id_))

    async def say(self, chat: int, content: str = "hello", **more: Any) -> Frame:
        """Send a message and return the payload of its ack."""
        return await self.call("message.send", {"chatId": str(chat), "content": content, **more})

    async def ack(self, id_: str) -> Frame:
        """Wait for the ack of a frame and return its payload."""
        return await self.expect("ack", lambda payload: payload["refId"] == id_)

    async def expect(self, type_: str, where: Callable[[Frame], bool] = lambda payload: True) -> Frame:
        """Wait for a frame of a type and return its payload; other frames are kept in order."""
        payload: Frame = (await self.expect_frame(type_, where))["payload"]
        return payload

    async def expect_bytes(self, where: Callable[[Any], bool] = lambda content: True) -> bytes:
        """Wait for a binary frame and return its content."""
        content: bytes = (await self.expect_frame("bytes", where))["payload"]
        return content

    async def expect_frame(self, type_: str, where: Callable[[Any], bool] = lambda payload: True) -> Frame:
        """Wait for a frame as `expect` does and return it with its envelope."""
        place = 0
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                while place < len(self.frames):
                    frame = self.frames[place]
                    if frame["type"] == type_ and where(frame["payload"]):
                        return self.frames.pop(place)
                    place += 1
                self.frames.append(await self._read())

    async def next(self) -> Frame:
        """Wait for the next frame of any type."""
        async with asyncio.timeout(WAIT_SECONDS):
            return self.frames.pop(0) if self.frames else await self._read()

    async def _read(self) -> Frame:
        """Return the next frame; a binary frame gets the type `bytes` and its content as payload."""
        content = await self.socket.recv()
        return {"type": "bytes", "payload": content} if isinstance(content, bytes) else json.loads(content)

    async def news(self, count: int) -> list[Frame]:
        """Wait for `count` frames `message.new` and return their messages in the order of arrival."""
        return [(await self.expect("message.new"))["message"] for _ in range(count)]

    async def settled(self) -> list[Frame]:
        """Return and remove all frames that were sent before this call: a pong arrives after them.

        Omits `chat.created`, which may still arrive for a chat created just before this connection.
        """
        await self.send("ping", {})
        await self.expect("pong")
        taken, self.frames = self.frames, []
        return [frame for frame in taken if frame["type"] != "chat.created"]

    async def first(self) -> str:
        """Wait for the first answer to a handshake; return the type of a frame or the close code."""
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                self.frames.append(await self._read())
            except websockets.ConnectionClosed:
                return str(self.socket.close_code)
        return str(self.frames[0]["type"])

    async def closed(self, *, within: float = WAIT_SECONDS) -> int:
        """Wait for the close of the connection and return its code; earlier frames are kept in `frames`."""
        return (await self.close(within=within)).code

    async def close(self, *, within: float = WAIT_SECONDS) -> Close:
        """Wait for the close of the connection and return its code and reason."""
        async with asyncio.timeout(within):
            try:
                while True:
                    self.frames.append(await self._read())
            except websockets.ConnectionClosed:
                return Close(self.socket.close_code or 0, self.socket.close_reason or "")


@asynccontextmanager
async def opened(
    server: Server,
    query: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    **options: Any,
) -> AsyncIterator[Client]:
    """Open a socket with the given credentials only; its first frame is not read yet.

    The library sends no pings and does not stop reading; `options` are those of websockets.
    """
    async with websockets.connect(
        server.ws_url + query,
        additional_headers=headers,
        subprotocols=[websockets.Subprotocol(name) for name in subprotocols] or None,
        **{
            "compression": None,
            "ping_interval": None,
            "max_queue": None,
            "close_timeout": 2,
            "max_size": None,
            **options,
        },
    ) as socket:
        yield Client(socket)


@asynccontextmanager
async def connected(server: Server, person: Someone, query: str = "", **options: Any) -> AsyncIterator[Client]:
    """Open a connection with a bearer token and read its hello."""
    async with opened(server, query, headers=bearer(person.access), **options) as client:
        client.hello = await client.expect("hello")
        yield client


async def until(holds: Callable[[], bool]) -> None:
    """Poll until `holds` returns true, for changes that send no event."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def bearer(access: str) -> dict[str, str]:
    """Return the header with an access token."""
    return {"Authorization": f"Bearer {access}"}
