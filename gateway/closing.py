"""Connections that must go: orders to close some, also those that are still in their handshake, and draining all.

Knows what a close is for, not who may order it.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from django.conf import settings

from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Session
from gateway.shedding import reconnect_delay

DRAIN_ACKS = 3.0
DRAIN_CLOSES = 3.0


class CloseOrders:
    """The orders of late: a handshake that was not over when one came must still obey it. Times are monotonic."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Event]] = deque()

    def record(self, event: Event, now: float) -> None:
        self._recent.append((now, event))

    def pending_for(self, session: Session, now: float) -> tuple[int, str]:
        """Return the order that a connection missed because its handshake was not over when it came; 0 for none."""
        too_old = now - settings.LIMITS.handshake_timeout
        while self._recent and self._recent[0][0] < too_old:
            self._recent.popleft()
        for _, event in self._recent:
            if session.device_id == event.close_device:
                return event.code, event.reason
        return 0, ""


def matching(event: Event, connections: Mapping[int, Connection]) -> list[Connection]:
    """Return the connections that an order is about."""
    if event.close_connection:
        return [c for c in [connections.get(event.close_connection)] if c]
    return [c for c in connections.values() if c.session.device_id == event.close_device]


async def drain(connections: Sequence[Connection]) -> None:
    """Let what is being stored be acked, then send everybody away with a time to come back (4503)."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_ACKS
    # Again, because a frame that waited for one of these to end is in flight only now.
    while waiting := [future for connection in connections for future in connection.in_flight]:
        await asyncio.wait(waiting, timeout=max(0.0, deadline - loop.time()))
        if loop.time() >= deadline:
            break
    for connection in connections:
        connection.close(4503, reconnect_delay(settings.LIMITS.drain_seconds))
    if connections:
        await asyncio.wait([connection.closed for connection in connections], timeout=DRAIN_CLOSES)
