"""One open socket: who it belongs to, its outbound queue, how it takes indicators, and how it is closed."""

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from gateway import websocket
from gateway.bus import Event
from gateway.frames import Class, Session
from gateway.indicators import encode
from gateway.outbound import Outbound, Outgoing, Overflow, Send
from gateway.receipt_coalescing import ReceiptBuffer, Sink

CLOSE_TIMEOUT = 1.0
# A frame from a client is taken to say that it holds what it was sent so long before.
REPLAY_MARGIN = 2.0
logger = logging.getLogger(__name__)


class Connection:
    """A connection. `token` resumes it; `code` is that of the server's own close, 0 before.

    `heard_at` (monotonic seconds) is the last sign of life, `active_at` that of a person behind it. `watching`: of whose
    presence it is told, by user id, and until when (Unix time). `chats`, where indicators travel in bytes: the conversation
    of each alias, alias 1 first; else None. `resumed_from`: where another one went on in this one, the Unix time up to which
    its client retry held all; else 0.
    """

    __slots__ = (
        "_before_greeting",
        "_closer",
        "_receipts",
        "active_at",
        "aliases",
        "bad_frames",
        "chats",
        "closed",
        "closing",
        "code",
        "focus",
        "greeted_at",
        "heard_at",
        "id",
        "in_flight",
        "out",
        "restored",
        "resumed_from",
        "send",
        "session",
        "token",
        "warned",
        "watching",
    )  # fmt: skip

    def __init__(self, id_: int, session: Session, send: Send, *, limit: int) -> None:
        self.id = id_
        self.session = session
        self.send = send
        self.out = Outbound(send, limit=limit)
        self.heard_at = self.active_at = time.monotonic()
        self.watching: dict[int, float] = {}
        self.chats: list[int] | None = None
        self.aliases: dict[int, int] | None = None
        self.code = 0
        self.token = ""
        self.focus: int | None = None
        self.in_flight: set[asyncio.Future[Any]] = set()
        self.bad_frames: list[float] = []
        self.warned = False
        self.restored = False
        self.resumed_from = 0.0
        self.greeted_at = math.inf
        self.closing = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closer: asyncio.Task[None] | None = None
        self._before_greeting: list[tuple[Outgoing, Class]] | None = []
        self._receipts: ReceiptBuffer | None = None

    def opened_at(self) -> int:
        """Return the Unix time of the opening in milliseconds: an id begins with it."""
        return self.id >> 22

    def record_activity(self) -> None:
        """Note a sign of life."""
        self.heard_at = time.monotonic()

    def received_until(self) -> float:
        """Return the Unix time before which all that was told has retry arrived: the last sign of life, or less.

        What was replayed is older than the connection: until its client is heard well after the greeting, as if nothing
        of it had arrived.
        """
        sure = min(self.heard_at, self.out.behind_since or self.heard_at)
        if self.resumed_from and sure < self.greeted_at + REPLAY_MARGIN:
            return self.resumed_from
        return time.time() - (time.monotonic() - sure)

    def greet(self, frames: Sequence[bytes]) -> None:
        """Write hello and what is replayed, then what came since the connection is in the hub, and all later ones."""
        waiting, self._before_greeting = self._before_greeting or [], None
        self.greeted_at = time.monotonic()
        for frame in frames:
            self.write(frame)
        for message, cls in waiting:
            self.offer(message, cls)

    def offer(self, message: Outgoing, cls: Class) -> None:
        """Queue an ASGI message; a connection too slow even for messages is closed with 4413."""
        if self._before_greeting is not None:
            self._before_greeting.append((message, cls))
            return
        try:
            self.out.offer(message, cls)
        except Overflow:
            self.out.discard()
            self.close(4413, "too slow: reconnect and sync")
        if self.out.failed:
            self.close(1011, "could not be sent: reconnect and sync")

    def use_compact(self) -> None:
        """Let indicators travel in bytes on this connection (protocol 2.5)."""
        self.chats, self.aliases = [], {}

    def assign_aliases(self, conversation_ids: Iterable[int]) -> None:
        """Give conversations their aliases on this connection; one that has one keeps it, whoever leaves and comes back."""
        if self.chats is None or self.aliases is None:
            return
        for conversation_id in conversation_ids:
            if conversation_id not in self.aliases:
                self.chats.append(conversation_id)
                self.aliases[conversation_id] = len(self.chats)

    def send_event(self, event: Event, outgoing: Outgoing, cls: Class) -> None:
        """Tell an event's frame as this connection takes it."""
        if event.indicators:
            self._send_indicators(event, outgoing)
        elif event.opens and self.aliases is not None:
            self.offer(self._with_alias(event), cls)
        else:
            self.offer(outgoing, cls)

    def _with_alias(self, event: Event) -> Outgoing:
        """Return the message of a frame that opens a chat to this connection, with its alias as the payload's last field."""
        self.assign_aliases([event.chat])
        assert self.aliases is not None
        return websocket.message(event.frame[:-2] + b',"alias":%d}}' % self.aliases[event.chat])

    def _send_indicators(self, event: Event, outgoing: Outgoing) -> None:
        """Tell indicators as this connection takes them: receipts gathered, in bytes where it knows the chat's alias."""
        if event.coalesced_type:
            if self._receipts is None:
                self._receipts = ReceiptBuffer(
                    Sink(self.session.user_id, self.offer, self._writable, lambda: self.aliases)
                )
            if not self.closing:
                self._receipts.add(event, outgoing)
            return
        alias = self.aliases.get(event.chat) if self.aliases else None
        if alias is None:
            self.offer(outgoing, Class(event.cls))
        else:
            content = b"".join(encode(alias, indicator) for indicator in event.indicators)
            self.offer(websocket.binary(content), Class(event.cls))

    def _writable(self) -> bool:
        return self._before_greeting is None and not self.out.behind_since

    def flush_receipts(self) -> None:
        """Write what is still gathered, so that what follows comes after it."""
        if self._receipts is not None and self._before_greeting is None:
            self._receipts.flush()

    def discard_output(self) -> None:
        """Write nothing more: the socket is gone."""
        self.out.discard()
        if self._receipts is not None:
            self._receipts.discard()

    def write(self, frame: bytes, cls: Class = Class.MESSAGE) -> None:
        """Queue an encoded text frame for this connection alone."""
        self.offer(websocket.message(frame), cls)

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code of protocol 2.6, after what is queued if the peer takes it within a second."""
        if not self.closing:
            self.closing = True
            if self._receipts is not None:
                self._receipts.discard()
            self.code = code
            self._closer = asyncio.get_running_loop().create_task(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.out.flush()
        except TimeoutError:
            self.out.discard()
        step: Coroutine[Any, Any, None] = self.send({"type": "websocket.close", "code": code, "reason": reason})  # type: ignore[assignment]
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await step
        except Exception as gone:
            logger.debug("the socket was gone before its close: %s", type(gone).__name__)
        finally:
            if not self.closed.done():
                self.closed.set_result(None)
