"""A stand-in for Parley's WebSocket, for tests of the load client: one conversation, in memory.

Seqs in `Standin.hide` are stored but not delivered live; `Standin.cut` closes every connection.
"""

import asyncio
import json
import threading
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve

CHAT = 7


class Standin:
    """Runs in its own thread until `stop`, listening on `address`. A token is a user's number."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.marks: list[tuple[int, int]] = []
        self.hide: set[int] = set()
        self.forget_acks: set[int] = set()
        self.refuse_once: set[int] = set()
        self.connections: set[ServerConnection] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server: Server = self.call(self._serve())
        host, port = next(iter(self.server.sockets)).getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _serve(self) -> Server:
        return await serve(self._talk, "127.0.0.1", 0, compression=None, subprotocols=["parley.v1"])  # type: ignore[list-item]

    async def _cut(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()

    def cut(self) -> None:
        self.call(self._cut())

    def stop(self) -> None:
        self.cut()
        self.loop.call_soon_threadsafe(self.server.close)
        self.call(self.server.wait_closed())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        assert urlsplit(connection.request.path).path == "/ws/v1"
        user = int(connection.request.headers["Authorization"].removeprefix("Bearer "))
        await self._say(connection, "hello", {"userId": str(user)})
        self.connections.add(connection)
        try:
            async for text in connection:
                frame = json.loads(text)
                assert set(frame) == {"type", "id", "timestamp", "payload"}
                await getattr(self, "_" + frame["type"].replace(".", "_"))(connection, user, frame)
        finally:
            self.connections.discard(connection)

    async def _say(self, connection: ServerConnection, kind: str, payload: Any) -> None:
        await connection.send(json.dumps({"type": kind, "id": "x", "payload": payload}, separators=(",", ":")))

    async def _message_send(self, connection: ServerConnection, user: int, frame: dict[str, Any]) -> None:
        payload, stored = frame["payload"], [each for each in self.messages if each["clientId"] == frame["id"]]
        seq = stored[0]["seq"] if stored else len(self.messages) + 1
        if seq in self.refuse_once:
            self.refuse_once.discard(seq)
            error = {"code": "RATE_LIMITED", "message": "wait", "retryAfter": 0.05}
            await self._say(connection, "ack", {"refId": frame["id"], "status": "error", "error": error})
            return
        place = {"messageId": str(900 + seq), "seq": seq, "rev": seq, "duplicate": bool(stored)}
        if not stored:
            self.messages.append(
                {"id": str(900 + seq), "chatId": payload["chatId"], "seq": seq, "rev": seq, "clientId": frame["id"],
                 "sender": {"id": str(user)}, "content": payload["content"]}
            )  # fmt: skip
        if seq in self.forget_acks:
            self.forget_acks.discard(seq)
            await self._cut()
            return
        await self._say(connection, "ack", {"refId": frame["id"], "status": "ok", **place})
        for other in [] if stored or seq in self.hide else self.connections - {connection}:
            await self._say(other, "message.new", {"chatId": payload["chatId"], "message": self.messages[seq - 1]})

    async def _message_delivered(self, connection: ServerConnection, user: int, frame: dict[str, Any]) -> None:
        self.marks.append((user, frame["payload"]["seq"]))

    async def _sync_request(self, connection: ServerConnection, user: int, frame: dict[str, Any]) -> None:
        chats = []
        for chat, held in frame["payload"]["chats"].items():
            missed = self.messages[held["seq"] :][:2]
            seq = held["seq"] + len(missed)
            more = seq < len(self.messages)
            chats.append({"chatId": chat, "messages": missed, "seq": seq, "rev": seq, "hasMore": more})
        await self._say(connection, "sync.response", {"chats": chats})
        await self._say(connection, "ack", {"refId": frame["id"], "status": "ok"})
