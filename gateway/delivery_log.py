"""A process's log of recent deliveries: which messages it published, and to which connections.

It answers "why did Bob not see it?" (F124). It lives in memory and keeps the last `CAPACITY` messages and the last
`CAPACITY` closed connections. A message goes to every connection of its receivers that is open at that moment, so the
log stores one publication time for each message and one lifetime for each connection: its size does not depend on the
number of receivers. Times are Unix seconds. `handed_at`, `told_at`, `summed` and `waits` are named as on the wire.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from gateway.bus import Event
from gateway.connection import Connection

CAPACITY = 20_000
HOST = f"{socket.gethostname()}:{os.getpid()}"


class Delivery(msgspec.Struct, array_like=True):
    """One message on one connection. `handed_at` is None if the connection opened later and got the message by sync.

    `closed_at` and `code` are None while the connection is open; `waits` is true while its peer reads nothing.
    """

    user_id: int
    device_id: int
    connection_id: int
    opened_at: float
    handed_at: float | None
    closed_at: float | None = None
    code: int | None = None
    waits: bool = False


class DeliveryReport(msgspec.Struct, array_like=True):
    """What one process knows of a message: when it published it, if by a summary (`summed`), and to which connections.

    `told_at` is None if the process never published the message, or no longer remembers it.
    """

    gateway: str
    host: str
    told_at: float | None
    summed: bool
    deliveries: list[Delivery]


class _Publication(NamedTuple):
    conversation_id: int
    seq: int
    at: float
    summed: bool
    skipped: Sequence[int]


class DeliveryLog:
    """The deliveries of one process; used on its event loop only."""

    def __init__(self) -> None:
        self._publications: deque[_Publication] = deque(maxlen=CAPACITY)
        self._closed: deque[Delivery] = deque(maxlen=CAPACITY)

    def record(self, event: Event, *, summed: bool) -> None:
        """Record that a stored message was published to its local receivers, or left to the next summary."""
        self._publications.append(_Publication(event.conversation_id, event.seq, time.time(), summed, event.skip_users))

    def record_closed(self, connection: Connection) -> None:
        """Record the end of a connection."""
        delivery = _delivery(connection, None)
        self._closed.append(msgspec.structs.replace(delivery, closed_at=time.time(), code=connection.code, waits=False))

    def report(
        self,
        gateway: str,
        conversation_id: int,
        seq: int,
        users: Iterable[int],
        connected: Mapping[int, Sequence[Connection]],
    ) -> DeliveryReport:
        """Return what is known of a message and these users' connections; `connected` are the open ones, by user.

        Users who block the sender were skipped by the publication and are left out.
        """
        key = conversation_id, seq
        matches = (each for each in reversed(self._publications) if (each.conversation_id, each.seq) == key)
        publication = next(matches, None)
        at = publication.at if publication else None
        receivers = set(users) - set(publication.skipped if publication else ())
        deliveries = [_delivery(connection, at) for user in sorted(receivers) for connection in connected.get(user, ())]
        deliveries += [
            msgspec.structs.replace(delivery, handed_at=_handed_at(delivery.opened_at, at))
            for delivery in self._closed
            if delivery.user_id in receivers and at is not None and (delivery.closed_at or 0.0) > at
        ]
        return DeliveryReport(gateway, HOST, at, publication.summed if publication else False, deliveries)


def _delivery(connection: Connection, at: float | None) -> Delivery:
    session, opened_at = connection.session, connection.opened_at() / 1000
    return Delivery(
        user_id=session.user_id,
        device_id=session.device_id,
        connection_id=connection.id,
        opened_at=opened_at,
        handed_at=_handed_at(opened_at, at),
        waits=bool(connection.out.behind_since),
    )


def _handed_at(opened_at: float, at: float | None) -> float | None:
    return at if at is not None and opened_at <= at else None
