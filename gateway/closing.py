"""Closing connections: orders that close some, even those still in their handshake, and the drain that closes all.

It knows how a connection is closed, not who may order it.
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
    """Recent orders to close a device: a connection whose handshake was under way must obey them too.

    Times are monotonic.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Event]] = deque()

    def record(self, event: Event, now: float) -> None:
        self._recent.append((now, event))

    def pending_for(self, session: Session, now: float) -> tuple[int, str]:
        """Return close code and reason of an order that came during a connection's handshake; code 0 for none."""
        too_old = now - settings.LIMITS.handshake_timeout
        while self._recent and self._recent[0][0] < too_old:
            self._recent.popleft()
        for _, event in self._recent:
            if session.device_id == event.close_device:
                return event.code, event.reason
        return 0, ""


def matching(event: Event, connections: Mapping[int, Connection]) -> list[Connection]:
    """Return the connections that an order closes."""
    if event.close_connection:
        return [c for c in [connections.get(event.close_connection)] if c]
    return [c for c in connections.values() if c.session.device_id == event.close_device]


async def drain(connections: Sequence[Connection]) -> None:
    """Wait until frames in flight are acked, then close all connections with 4503 and a delay before reconnecting."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAIN_ACKS
    # Repeated: a frame that waited for one of these futures is in flight only now.
    while waiting := [future for connection in connections for future in connection.in_flight]:
        await asyncio.wait(waiting, timeout=max(0.0, deadline - loop.time()))
        if loop.time() >= deadline:
            break
    for connection in connections:
        connection.close(4503, reconnect_delay(settings.LIMITS.drain_seconds))
    if connections:
        await asyncio.wait([connection.closed for connection in connections], timeout=DRAIN_CLOSES)
