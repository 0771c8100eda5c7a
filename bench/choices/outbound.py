"""Decision 0004: the cost of passing a frame to a writable socket: by stepping the coroutine, by queue and by task.

One process with CONNECTIONS connections, whose send coroutine ends in its first step, as an ASGI server's does while
the socket is writable. The send is the same in all three and does nothing, so the figures are those of the passing.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from bench.choices.machine import machine
from gateway.frames import Class
from gateway.outbound import Outbound

CONNECTIONS = 1000
FRAMES = 200
ROUNDS = 5
MESSAGE = {"type": "websocket.send", "text": "x" * 640}
taken = 0


async def send(message: dict[str, Any]) -> None:
    """Accept a frame, as a server does while the socket is writable."""
    global taken
    taken += 1


async def by_hand() -> None:
    outbounds = [Outbound(send, limit=1000) for _ in range(CONNECTIONS)]
    for _ in range(FRAMES):
        for outbound in outbounds:
            outbound.offer(MESSAGE, Class.MESSAGE)
        await asyncio.sleep(0)


async def by_queue() -> None:
    """One queue and one task a connection that waits on it."""

    async def drain(queue: "asyncio.Queue[dict[str, Any]]") -> None:
        while True:
            await send(await queue.get())

    queues: list[asyncio.Queue[dict[str, Any]]] = [asyncio.Queue(1000) for _ in range(CONNECTIONS)]
    drains = [asyncio.ensure_future(drain(queue)) for queue in queues]
    for _ in range(FRAMES):
        for queue in queues:
            queue.put_nowait(MESSAGE)
        await asyncio.sleep(0)
    while any(not queue.empty() for queue in queues):  # noqa: ASYNC110
        await asyncio.sleep(0)
    for each in drains:
        each.cancel()
    await asyncio.gather(*drains, return_exceptions=True)


async def by_task() -> None:
    """One task a frame."""
    for _ in range(FRAMES):
        await asyncio.gather(*[asyncio.ensure_future(send(MESSAGE)) for _ in range(CONNECTIONS)])


def measure(way: Callable[[], Awaitable[None]]) -> float:
    """Return the CPU microseconds a frame of one run."""
    global taken
    taken = 0

    async def run() -> float:
        before = time.process_time()
        await way()
        return time.process_time() - before

    spent = uvloop.run(run())
    assert taken == CONNECTIONS * FRAMES, f"{taken} frames were sent"
    return 1e6 * spent / taken


def main() -> None:
    ways = {"stepped by hand": by_hand, "queue and task a connection": by_queue, "task a frame": by_task}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            costs[name].append(measure(way))
    print(machine(), f"\n{CONNECTIONS} connections, {FRAMES} frames each, median of {ROUNDS}")
    for name, runs in costs.items():
        print(f"{name:<30}{statistics.median(runs):>8.2f} µs of CPU a frame")


if __name__ == "__main__":
    main()
