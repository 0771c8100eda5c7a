"""Connections without a socket, on a clock that the test moves; Redis is real."""

import itertools
import time
from typing import Any

from gateway import bus
from gateway.bus import Event
from gateway.connection import Connection
from gateway.frames import Session
from gateway.redis_clients import thread_client
from presence import store
from presence.connections import PresenceReporter

_ids = itertools.count(int(time.time() * 1000) << 22)


class Clock:
    """Unix seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Published:
    """What is published, instead of the bus."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __enter__(self) -> "Published":
        self._before = bus._hub
        bus.attach(self.events.append)
        return self

    def __exit__(self, *_: Any) -> None:
        bus.attach(self._before)

    def take_users(self) -> list[int]:
        """Return whose presence was said to have changed, and forget it."""
        users = [user for event in self.events for user in event.about]
        self.events.clear()
        return users


def make_connection(user: int, device: int | None = None) -> Connection:
    """Return a connection of a user's device whose frames go nowhere."""

    async def send(message: dict[str, Any]) -> None:
        return None

    return Connection(next(_ids), Session(user, device or user, None), send, limit=100)


def make_idle(connection: Connection, seconds: float) -> None:
    """Let so many seconds have passed since a person did something."""
    connection.active_at = time.monotonic() - seconds


def status(user: int, clock: Clock, **options: Any) -> str:
    """Return a user's state as Redis has it."""
    return store.read_records([user])[user].status(clock(), **options)


async def end_expired(reporter: PresenceReporter) -> None:
    """Have everything ended that is end_expired, what other tests have left included."""
    await reporter.run_round()
    while thread_client().zcount("presence:due", "-inf", reporter._clock()):
        await reporter.run_round()
