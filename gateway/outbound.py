"""The outbound queue of a connection: important classes go first, and a full queue drops the others (F298–F301)."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from gateway.frames import Class

Send = Callable[[dict[str, Any]], Awaitable[None]]
Outgoing = dict[str, Any]
logger = logging.getLogger(__name__)
# The queue is bounded in bytes as well: sync answers are large, and a client may request many without reading any.
MOST_BYTES = 16 * 1024 * 1024

# Classes in the order in which a full queue drops them (K28). Others are never dropped.
DROP_ORDER = (Class.TYPING, Class.PRESENCE, Class.COSMETIC, Class.RECEIPT, Class.BADGE)


class Overflow(Exception):
    """Not even messages fit the queue: the connection is closed with 4413, and its client must sync."""


class Outbound:
    """The outbound frames of one socket.

    While the socket is writable, a frame is written at once and without a task switch: the send coroutine is stepped by
    hand and almost always ends in its first step. Only a send that suspends (a slow peer) gets a task and a queue.
    `stuck_since` is when the frame being written began to wait; `behind_since` is when the first frame did, since all
    was written last. Both are monotonic seconds, 0 if nothing waits.
    """

    __slots__ = (
        "_bytes",
        "_count",
        "_limit",
        "_queues",
        "_send",
        "_task",
        "behind_since",
        "dropped",
        "failed",
        "stuck_since",
    )

    def __init__(self, send: Send, *, limit: int) -> None:
        self._send = send
        self._limit = limit
        self._queues: list[deque[Outgoing]] | None = None
        self._count = self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        self.failed = False
        self.stuck_since = 0.0
        self.behind_since = 0.0

    def __len__(self) -> int:
        return self._count

    def offer(self, message: Outgoing, cls: Class) -> None:
        """Write or queue an ASGI `websocket.send` message.

        Raises Overflow if the queue is full of messages (1,000 or 16 MB).
        """
        if self.failed:
            return
        if self._task is not None:
            self._queue(message, cls)
            return
        step: Coroutine[Any, Any, None] = self._send(message)  # type: ignore[assignment]
        try:
            waits_for = step.send(None)
        except StopIteration:
            return
        except Exception as gone:
            self._fail(gone)
            return
        self.stuck_since = self.behind_since = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._drain(step, waits_for))

    def _queue(self, message: Outgoing, cls: Class) -> None:
        if self._queues is None:
            self._queues = [deque() for _ in Class]
        size = _size(message)
        while self._count and (self._count >= self._limit or self._bytes + size > MOST_BYTES):
            if not self._make_room(cls):
                return
        self._queues[cls].append(message)
        self._count += 1
        self._bytes += size

    def _make_room(self, cls: Class) -> bool:
        """Drop a frame less important than `cls`. Return False if there is none, so that the new frame is dropped."""
        assert self._queues is not None
        self.dropped += 1
        for candidate in DROP_ORDER:
            if candidate == cls:
                return False
            if self._queues[candidate]:
                self._bytes -= _size(self._queues[candidate].popleft())
                self._count -= 1
                return True
        raise Overflow

    async def _drain(self, step: Coroutine[Any, Any, None], waits_for: Any) -> None:
        try:
            await _finish(step, waits_for)
            while self._count:
                self.stuck_since = time.monotonic()
                await self._send(self._next())
            self.behind_since = 0.0
        except Exception as gone:
            self._fail(gone)
        finally:
            self.stuck_since = 0.0
            self._task = None

    def _next(self) -> Outgoing:
        assert self._queues is not None
        message = next(queue.popleft() for queue in self._queues if queue)
        self._count -= 1
        self._bytes -= _size(message)
        return message

    def _fail(self, gone: Exception) -> None:
        """Drop all frames: the socket is gone. The receive loop sees it too, and ends the connection."""
        logger.debug("send failed: %s", type(gone).__name__)
        self.failed = True
        self._queues, self._count, self._bytes = None, 0, 0

    async def flush(self) -> None:
        """Wait until all queued frames are written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def discard(self) -> None:
        """Drop all queued frames and write nothing more."""
        self.failed = True
        self._queues, self._count, self._bytes = None, 0, 0
        if self._task is not None:
            self._task.cancel()


def _size(message: Outgoing) -> int:
    """Return the length of a message as an encoded frame, 0 if unknown."""
    return len(message.get("raw", b""))


@coroutine
def _finish(step: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Finish a coroutine that was stepped by hand and awaits `waits_for`."""
    while True:
        try:
            value = yield waits_for
        except BaseException as fault:
            waits_for = step.throw(fault)
        else:
            try:
                waits_for = step.send(value)
            except StopIteration:
                return
