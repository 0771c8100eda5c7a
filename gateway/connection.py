"""One open socket: its session, its outbound queue, its form of indicators (JSON or bytes), and its close."""

import asyncio
import logging
import math
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from django.conf import settings

from gateway import websocket
from gateway.bus import Event
from gateway.frames import Class, Session
from gateway.indicators import encode
from gateway.outbound import Outbound, Outgoing, Overflow, Send
from gateway.receipt_coalescing import ReceiptBuffer, Sink

CLOSE_TIMEOUT = 1.0
# A frame from a client confirms all frames that were written this many seconds before it.
REPLAY_MARGIN = 2.0
logger = logging.getLogger(__name__)


class Connection:
    """A connection. `token` resumes it; `code` is the server's close code, 0 while it is open.

    `heard_at` and `active_at` (monotonic seconds) are the last sign of life and the last sign of a person. `watching`
    maps the users whose presence it follows to the end of each subscription (Unix time). `chats` lists the
    conversations by alias, alias 1 first, if indicators travel as bytes; else it is None. `resumed_from` is the Unix
    time up to which the client of the resumed connection had received everything; 0 if none was resumed.
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
        "paid_until",
        "restored",
        "resumed_from",
        "send",
        "session",
        "throttled_since",
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
        self.paid_until = 0.0
        self.throttled_since: float | None = None
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
        """Return when the connection opened, in Unix milliseconds: the upper bits of its id."""
        return self.id >> 22

    def record_activity(self) -> None:
        """Record a sign of life."""
        self.heard_at = time.monotonic()

    def charge(self, size: int, cost: int = 1) -> float:
        """Charge a frame of `size` bytes that has just come, before anything of it is decoded.

        Return the seconds to wait before it is handled. `cost` is the number of ordinary frames that it counts for.
        Closes the connection with 4429 if it has been above its rates for `frame_patience` seconds.
        """
        limits, now = settings.LIMITS, self.heard_at
        spent = cost / limits.frames_per_second + size / limits.frame_bytes_per_second
        self.paid_until = max(self.paid_until, now) + spent
        wait = self.paid_until - now - limits.frame_burst
        if wait <= 0:
            if wait < -limits.frame_burst / 2:
                self.throttled_since = None
            return 0.0
        if self.throttled_since is None:
            self.throttled_since = now
        elif now - self.throttled_since > limits.frame_patience:
            self.close(4429, str(math.ceil(limits.frame_patience)))
        return wait

    def received_until(self) -> float:
        """Return the Unix time before which the client has received everything: its last sign of life, or earlier.

        A replay may be lost on its way. Until the client is heard REPLAY_MARGIN seconds after the greeting, this is the
        time of the connection that was resumed.
        """
        sure = min(self.heard_at, self.out.behind_since or self.heard_at)
        if self.resumed_from and sure < self.greeted_at + REPLAY_MARGIN:
            return self.resumed_from
        return time.time() - (time.monotonic() - sure)

    def greet(self, frames: Sequence[bytes]) -> None:
        """Write hello and the replay, then the frames that waited for them; later frames follow."""
        waiting, self._before_greeting = self._before_greeting or [], None
        self.greeted_at = time.monotonic()
        for frame in frames:
            self.write(frame)
        for message, cls in waiting:
            self.offer(message, cls)

    def offer(self, message: Outgoing, cls: Class) -> None:
        """Queue an ASGI message. Closes the connection with 4413 if not even its messages fit the queue."""
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
        """Send and accept indicators as bytes on this connection (protocol 2.5)."""
        self.chats, self.aliases = [], {}

    def assign_aliases(self, conversation_ids: Iterable[int]) -> None:
        """Give each conversation an alias on this connection.

        An alias is kept even if the user leaves and joins again.
        """
        if self.chats is None or self.aliases is None:
            return
        for conversation_id in conversation_ids:
            if conversation_id not in self.aliases:
                self.chats.append(conversation_id)
                self.aliases[conversation_id] = len(self.chats)

    def send_event(self, event: Event, outgoing: Outgoing, cls: Class) -> None:
        """Send an event in the form that this connection takes: text, or bytes for indicators."""
        if event.indicators:
            self._send_indicators(event, outgoing)
        elif event.opens and self.aliases is not None:
            self.offer(self._with_alias(event), cls)
        else:
            self.offer(outgoing, cls)

    def _with_alias(self, event: Event) -> Outgoing:
        """Return the message of a frame that opens a chat; the chat's alias is appended to its payload."""
        self.assign_aliases([event.chat])
        assert self.aliases is not None
        return websocket.message(event.frame[:-2] + b',"alias":%d}}' % self.aliases[event.chat])

    def _send_indicators(self, event: Event, outgoing: Outgoing) -> None:
        """Send indicators: receipts through the buffer, others at once; as bytes if the chat has an alias here."""
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
        """Write the buffered receipts, so that the next frame comes after them."""
        if self._receipts is not None and self._before_greeting is None:
            self._receipts.flush()

    def discard_output(self) -> None:
        """Drop all output: the socket is gone."""
        self.out.discard()
        if self._receipts is not None:
            self._receipts.discard()

    def write(self, frame: bytes, cls: Class = Class.MESSAGE) -> None:
        """Queue an encoded text frame for this connection."""
        self.offer(websocket.message(frame), cls)

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code of protocol 2.6. Queued frames are written first if the peer reads them within a second."""
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
