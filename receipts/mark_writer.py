"""Writes the marks of a process: merged for 200 ms by device and conversation, then recorded in batches."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from django.conf import settings
from psycopg.errors import CheckViolation

from chat.refusals import NotAMember
from gateway import hub, threads
from gateway.async_database import PreparedConnection
from gateway.batching import Batcher
from gateway.errors import Overloaded
from receipts import partitions
from receipts.marks import MARK, Mark, Move, finish_marks, lane_key, merge_marks, record_marks, statement_values

MOST = 500
# A statement costs ten times what a mark in it costs (decision 0008): the marks of 20 ms share one statement.
BATCH_GAP = 0.02
MOST_KEPT = 100_000
# A send locks a member's row for one statement and its commit: a few milliseconds.
BUSY_SECONDS = 0.01
BUSY_TRIES = 300
# Large conversations get no receipts, so their marks may be recorded later, and more of them as one (F122).
LARGE_SECONDS = 1.0

Key = tuple[int, int, int, bool]  # user, conversation, device, seen (or delivered)


class MarkWriter:
    """Writes the marks of this process's connections, on one event loop."""

    def __init__(self) -> None:
        self._database = PreparedConnection("marks")
        self._batcher: Batcher[Mark, str] = Batcher(self._write_batch, most=MOST, apart=BATCH_GAP)
        self._next_write_at: dict[Key, float] = {}
        self._large_conversations: set[int] = set()
        self._threshold = settings.LIMITS.fanout_threshold
        self._loop: asyncio.AbstractEventLoop | None = None
        self._merged: dict[Key, tuple[Mark, asyncio.Future[None]]] = {}

    def submit(self, mark: Mark) -> "asyncio.Future[None]":
        """Submit a mark. The future ends when it is recorded, or raises NotAMember or Overloaded."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        loop = self._loop
        key = (*lane_key(mark), mark.seen > 0)
        if key in self._merged:
            earlier, future = self._merged[key]
            self._merged[key] = merge_marks(earlier, mark), future
            return future
        wait = self._next_write_at.get(key, 0.0) - loop.time()
        if wait <= 0:
            return loop.create_task(self._write(key, mark))
        future = loop.create_future()
        self._merged[key] = mark, future
        loop.call_later(wait, self._write_merged, key)
        return future

    def _write_merged(self, key: Key) -> None:
        mark, future = self._merged.pop(key)
        task = asyncio.get_running_loop().create_task(self._write(key, mark))
        task.add_done_callback(partial(_copy_result, future))

    async def _write(self, key: Key, mark: Mark) -> None:
        if len(self._next_write_at) > MOST_KEPT:
            self._next_write_at.clear()
            self._large_conversations.clear()
        rate = settings.LIMITS.marks_per_second if mark.seen else settings.LIMITS.delivered_per_second
        wait = LARGE_SECONDS if key[1] in self._large_conversations else 1 / rate
        self._next_write_at[key] = asyncio.get_running_loop().time() + wait
        for _ in range(BUSY_TRIES):
            outcome = await self._batcher.submit(mark)
            if outcome != "busy":
                break
            await asyncio.sleep(BUSY_SECONDS)
        _raise_refusal(outcome)

    async def _write_batch(self, marks: Sequence[Mark]) -> list[str]:
        try:
            rows = await self._database.rows(MARK, statement_values(marks))
        except CheckViolation:
            # A partition is missing: the clock job did not run for weeks, or a retention period has just changed.
            await threads.run(partitions.make_upcoming)
            rows = await self._database.rows(MARK, statement_values(marks))
        moves = [Move(*row) for row in rows]
        for move in moves:
            if move.member_count and move.member_count >= self._threshold:
                self._large_conversations.add(move.conversation_id)
        return finish_marks(marks, moves)


def submit_mark(mark: Mark) -> None:
    """Record one mark from a thread, and wait for that. Raises NotAMember, Overloaded."""
    if hub.running():
        hub.current().call(partial(_submit, mark))
        return
    for _ in range(BUSY_TRIES):
        outcome = record_marks([mark])[0]
        if outcome != "busy":
            break
        time.sleep(BUSY_SECONDS)
    _raise_refusal(outcome)


async def _submit(mark: Mark) -> None:
    await mark_writer().submit(mark)


def _raise_refusal(outcome: str) -> None:
    if outcome == "stranger":
        raise NotAMember
    if outcome == "busy":
        raise Overloaded("the conversation is busy: mark again", retry_after=1)


def _copy_result(future: "asyncio.Future[None]", task: "asyncio.Task[None]") -> None:
    if future.done():
        return
    fault = task.exception()
    if fault is None:
        future.set_result(None)
    else:
        future.set_exception(fault)


_mark_writer: MarkWriter | None = None


def mark_writer() -> MarkWriter:
    """Return this process's writer; a web process has one event loop."""
    global _mark_writer
    if _mark_writer is None:
        _mark_writer = MarkWriter()
    return _mark_writer
