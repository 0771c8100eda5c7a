"""Connections without a socket, on a clock that the test advances; Redis is real."""

import itertools
import time
from typing import Any

from gateway import bus
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Session
from gateway.ids import DeviceId, UserId
from gateway.redis_clients import thread_client
from presence import store
from presence.connections import PresenceReporter

_ids = itertools.count(int(time.time() * 1000) << 22)


class Clock:
    """A clock of Unix seconds that the test advances."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Published:
    """Collects published events in place of the bus."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __enter__(self) -> "Published":
        self._before = bus._hub
        bus.attach(self.events.append)
        return self

    def __exit__(self, *_: Any) -> None:
        bus.attach(self._before)

    def take_users(self) -> list[int]:
        """Return the users in the published notices, and clear the events."""
        users = [user for event in self.events for user in event.about]
        self.events.clear()
        return users


def make_connection(user: int, device: int | None = None) -> Connection:
    """Return a connection of a user's device whose frames go nowhere."""

    async def send(message: dict[str, Any]) -> None:
        return None

    return Connection(next(_ids), Session(UserId(user), DeviceId(device or user), None), send, limit=100)


def make_idle(connection: Connection, seconds: float) -> None:
    """Set the time since the last user activity, in seconds."""
    connection.active_at = time.monotonic() - seconds


def status(user: int, clock: Clock, **options: Any) -> str:
    """Return a user's state in Redis."""
    return store.read_records([user])[user].status(clock(), **options)


async def end_expired(reporter: PresenceReporter) -> None:
    """Run rounds until no expired connection is left, those of other tests included."""
    await reporter.run_round()
    while thread_client().zcount("presence:due", "-inf", reporter._clock()):
        await reporter.run_round()
