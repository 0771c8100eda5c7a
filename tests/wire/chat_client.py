"""A client of the protocol: it keeps its messages, resends those that were not acked, and fills gaps by sync."""

import json
from typing import NamedTuple
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from tests.clients import Frame, bearer
from tests.factories import Someone
from tests.servers import Server


class Held(NamedTuple):
    """A message as a client holds it."""

    id: str
    client_id: str
    content: str


class ChatClient:
    """One person's client in one chat, over any number of connections."""

    def __init__(self, person: Someone, chat: int) -> None:
        self.person = person
        self.chat = str(chat)
        self.socket: ClientConnection | None = None
        self.resume = ""
        self.said: dict[str, str] = {}  # client id → content, in the order of saying
        self.unacked: list[str] = []
        self.held: dict[int, Held] = {}
        self.behind = True  # a sync is needed: after a connection without resume, or a gap
        self.resumed = False
        self.live: list[int] = []  # what this connection was told, in its order

    @property
    def seq(self) -> int:
        """The highest seq without a gap below it."""
        seq = 0
        while seq + 1 in self.held:
            seq += 1
        return seq

    async def connect(self, server: Server, *, resume: bool) -> None:
        """Open a connection, and resend the messages that were not acked on the last one."""
        query = f"?resume={self.resume}" if resume and self.resume else ""
        self.socket = await connect(
            server.ws_url + query, additional_headers=bearer(self.person.access), ping_interval=None, max_queue=None
        )
        hello = json.loads(await self.socket.recv())
        assert hello["type"] == "hello"
        self.resume, self.resumed = hello["payload"]["resumeToken"], hello["payload"]["resumed"]
        self.behind, self.live = self.behind or not self.resumed, []
        for id_ in self.unacked:
            await self.put(id_)

    def drop(self) -> None:
        """Abort the connection and lose all frames on their way, in both directions."""
        assert self.socket is not None
        self.socket.transport.abort()
        self.socket = None

    async def say(self, count: int) -> None:
        """Send so many messages without waiting for their acks."""
        for _ in range(count):
            id_ = str(uuid4())
            self.said[id_] = f"{self.person.name} {len(self.said)}"
            self.unacked.append(id_)
            await self.put(id_)

    async def put(self, id_: str) -> None:
        await self._send("message.send", {"chatId": self.chat, "content": self.said[id_]}, id_)

    async def listen(self) -> None:
        """Receive all frames that are on their way."""
        await self._send("ping", {}, "ping")
        while (await self._take())["type"] != "pong":
            pass

    async def sync(self) -> None:
        """Sync until there are no more pages."""
        more = True
        while more:
            await self._send("sync.request", {"chats": {self.chat: {"seq": self.seq, "rev": 0}}, "limit": 7}, "sync")
            while (frame := await self._take())["type"] != "sync.response":
                pass
            more = frame["payload"]["hasMore"]
        self.behind = False

    async def all_acked(self) -> None:
        while self.unacked:
            await self._take()

    async def reach(self, seq: int) -> None:
        """Wait for a seq, and sync the gaps below it."""
        if self.behind:
            await self.sync()
        while max(self.held, default=0) < seq:
            await self._take()
        if self.seq < seq:
            await self.sync()

    async def _send(self, type_: str, payload: Frame, id_: str) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps({"type": type_, "id": id_, "payload": payload}))

    async def _take(self) -> Frame:
        assert self.socket is not None
        frame: Frame = json.loads(await self.socket.recv())
        payload = frame["payload"]
        if frame["type"] == "ack" and payload["refId"] in self.said:
            self._acked(payload)
        elif frame["type"] == "message.new":
            self.live.append(payload["message"]["seq"])
            self._hold(payload["message"])
        elif frame["type"] == "sync.response":
            for message in payload["chats"][0]["messages"]:
                self._hold(message)
        else:
            assert frame["type"] in ("ack", "pong", "chat.created", "system.status"), frame
        return frame

    def _acked(self, ack: Frame) -> None:
        id_ = ack["refId"]
        assert ack["status"] == "ok", ack
        if id_ in self.unacked:
            self.unacked.remove(id_)
        self._keep(ack["seq"], Held(ack["messageId"], id_, self.said[id_]))

    def _hold(self, message: Frame) -> None:
        self._keep(message["seq"], Held(message["id"], message["clientId"], message["content"]))

    def _keep(self, seq: int, held: Held) -> None:
        """Store a message. A seq stands for one message for ever, on every path."""
        assert self.held.setdefault(seq, held) == held
