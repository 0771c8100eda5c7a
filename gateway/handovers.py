"""What this process has handed to whom of late, for "why did Bob not see it?": messages, and the connections they went to.

In memory alone: the last `KEPT` messages and the last `KEPT` connections that have ended. A message goes to every
connection of its receivers that stands at that moment, so it is enough to know when it was told and which ones stood:
what is kept for a message does not grow with its readers. Times are Unix seconds.
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

KEPT = 20_000
HOST = f"{socket.gethostname()}:{os.getpid()}"


class Handed(msgspec.Struct, array_like=True):
    """A connection and a message. `handed_at` is None where it was opened too late, and got the message by sync.

    `closed_at` and `code` are None while it lasts; `waits` says that its peer takes nothing at the moment.
    """

    user_id: int
    device_id: int
    connection_id: int
    opened_at: float
    handed_at: float | None
    closed_at: float | None = None
    code: int | None = None
    waits: bool = False


class Account(msgspec.Struct, array_like=True):
    """What a process knows of a message: when it told it (None: never, or forgotten), by a summary or by itself, to whom."""

    gateway: str
    host: str
    told_at: float | None
    summed: bool
    handed: list[Handed]


class _Told(NamedTuple):
    conversation_id: int
    seq: int
    at: float
    summed: bool
    skipped: Sequence[int]


class Handovers:
    """What one process has handed over; on its event loop."""

    def __init__(self) -> None:
        self._told: deque[_Told] = deque(maxlen=KEPT)
        self._ended: deque[Handed] = deque(maxlen=KEPT)

    def note(self, event: Event, *, summed: bool) -> None:
        """Note that a stored message is told to its receivers here, or is left to the next summary."""
        self._told.append(_Told(event.conversation_id, event.seq, time.time(), summed, event.skip_users))

    def ended(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        span = _standing(connection, None)
        self._ended.append(msgspec.structs.replace(span, closed_at=time.time(), code=connection.code, waits=False))

    def account(
        self,
        gateway: str,
        conversation_id: int,
        seq: int,
        users: Iterable[int],
        here: Mapping[int, Sequence[Connection]],
    ) -> Account:
        """Return what is known of a message and these users' connections; `here` are those that stand, by user.

        Whoever blocks its author was skipped, and is not named.
        """
        found = (told for told in reversed(self._told) if told.seq == seq and told.conversation_id == conversation_id)
        told = next(found, None)
        at = told.at if told else None
        wanted = set(users) - set(told.skipped if told else ())
        handed = [_standing(connection, at) for user in sorted(wanted) for connection in here.get(user, ())]
        handed += [
            msgspec.structs.replace(span, handed_at=_handed_at(span.opened_at, at))
            for span in self._ended
            if span.user_id in wanted and at is not None and (span.closed_at or 0.0) > at
        ]
        return Account(gateway, HOST, at, told.summed if told else False, handed)


def _standing(connection: Connection, at: float | None) -> Handed:
    session, opened_at = connection.session, connection.opened_at() / 1000
    return Handed(
        user_id=session.user_id,
        device_id=session.device_id,
        connection_id=connection.id,
        opened_at=opened_at,
        handed_at=_handed_at(opened_at, at),
        waits=bool(connection.out.behind_since),
    )


def _handed_at(opened_at: float, at: float | None) -> float | None:
    return at if at is not None and opened_at <= at else None
