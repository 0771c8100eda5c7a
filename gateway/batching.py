"""Natural batching: items that arrive while a batch is being processed form the next batch.

A lone item is processed at once. Nothing waits for a timer, unless the caller asks for a pause between batches
(`apart`) because a batch costs much more than its items.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """One sequence of batches on one event loop.

    `work` receives at most `most` items and returns one answer for each, in order. An answer that is an exception is
    raised to its submitter alone; an exception raised by `work` itself goes to every submitter of the batch. Batches
    start at least `apart` seconds after one another, unless the next one is already full.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | BaseException]]],
        *,
        most: int,
        apart: float = 0.0,
    ) -> None:
        self._work = work
        self._most = most
        self._apart = apart
        self._next_at = 0.0
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None
        # Cached: get_running_loop makes a system call (getpid) in CPython 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, item: Item) -> "asyncio.Future[Answer]":
        """Queue an item and return a future of its answer.

        Items keep their order of submission, within and across batches.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._run())
        return future

    def __len__(self) -> int:
        return len(self._waiting)

    async def _run(self) -> None:
        while self._waiting:
            if self._apart:
                await self._rest()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await self._work([item for item, _ in batch])
            except Exception as fault:
                answers = [fault] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._next_at - loop.time()
        if wait > 0 and len(self._waiting) < self._most:
            await asyncio.sleep(wait)
        self._next_at = loop.time() + self._apart
