"""Subscriptions: their number and time, and that nothing is told twice, on a clock that the test moves."""

import asyncio
import json
from typing import Any

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateway.connection import Connection
from gateway.frames import Session
from presence import states
from presence.states import State
from presence.watchers import TIDY_SECONDS, TooMany, Watchers
from tests.factories import Someone, group, someone
from tests.presence.moments import Clock

LIMITS = settings.LIMITS


class Ear:
    """A viewer's connection whose socket is a list."""

    def __init__(self, viewer: Someone, number: int = 1) -> None:
        self.frames: list[Any] = []
        self.connection = Connection(number, Session(viewer.id, viewer.device_id, None), self.send, limit=100)
        self.connection.greet([])

    async def send(self, message: dict[str, Any]) -> None:
        self.frames.append(json.loads(message["text"])["payload"])


async def test_what_a_connection_knows_is_not_told_again() -> None:
    """However often a state is said to have changed: coming and going within a batch costs no frame."""
    ada, bob = someone(), someone()
    group(ada, bob)
    watchers, ear = Watchers(), Ear(bob)
    watchers.watch(ear.connection, [ada.id])

    for _ in range(3):
        await watchers.tell([ada.id])

    assert [len(payload["changes"]) for payload in ear.frames] == [1]


async def test_a_change_of_whom_nobody_here_watches_begins_nothing() -> None:
    watchers = Watchers()

    watchers.changed(range(5000))

    assert (watchers._timer, watchers._changed) == (None, set())


async def test_a_subscription_ends_after_ten_minutes_unless_it_is_renewed() -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    clock = Clock()
    watchers, ear = Watchers(clock), Ear(bob)
    watchers.watch(ear.connection, [ada.id, bob.id])
    clock.now += LIMITS.presence_subscription_life - 1
    watchers.watch(ear.connection, [bob.id])
    clock.now += TIDY_SECONDS + 1

    await watchers.tell([ada.id, bob.id])
    told = [change["userId"] for payload in ear.frames for change in payload["changes"]]
    watchers.tidy()

    assert told == [str(bob.id)]
    assert watchers.watched() == [bob.id] == list(ear.connection.watching)


async def test_a_hundred_live_subscriptions_and_not_one_more() -> None:
    clock = Clock()
    watchers, ear = Watchers(clock), Ear(Someone(1, "Ada", 1, ""))
    most = LIMITS.presence_subscriptions
    watchers.watch(ear.connection, range(1, most + 1))

    with pytest.raises(TooMany):
        watchers.watch(ear.connection, [most + 1])
    held = len(ear.connection.watching)
    clock.now += LIMITS.presence_subscription_life
    watchers.watch(ear.connection, [most + 1])

    assert (held, list(ear.connection.watching)) == (most, [most + 1])


async def test_a_connection_that_goes_is_forgotten_and_keeps_what_it_watched_for_its_resume() -> None:
    watchers, ear = Watchers(), Ear(Someone(1, "Ada", 1, ""))
    watchers.watch(ear.connection, [2, 3])

    watchers.forget(ear.connection)

    assert (watchers.watched(), list(ear.connection.watching)) == ([], [2, 3])


async def test_who_goes_while_states_are_read_leaves_nothing_behind() -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    watchers, ear = Watchers(), Ear(bob)
    watchers.watch(ear.connection, [ada.id])

    telling = asyncio.ensure_future(watchers.tell([ada.id]))
    await asyncio.sleep(0)
    watchers.forget(ear.connection)
    await telling
    watchers.note(ear.connection, {ada.id: State("available")})

    assert (ear.frames, watchers._told) == ([], {})


@pytest.mark.parametrize("fault", [OperationalError, InterfaceError])
async def test_what_could_not_be_read_is_told_later(monkeypatch: pytest.MonkeyPatch, fault: type[Exception]) -> None:
    watchers, ear = Watchers(), Ear(Someone(1, "Ada", 1, ""))
    watchers.watch(ear.connection, [2])

    def shown(*_: Any) -> None:
        raise fault("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(states, "shown", shown)
        await watchers.tell([2])

    assert watchers._changed == {2}
    assert watchers._timer is not None
    watchers._timer.cancel()


async def test_without_redis_the_watchers_are_told_once_that_all_is_unknown() -> None:
    clock = Clock()
    watchers, ear = Watchers(clock), Ear(Someone(1, "Ada", 1, ""))
    watchers.watch(ear.connection, [2])
    away = clock.now

    told = []
    for seconds in (1, LIMITS.presence_stale - 1, LIMITS.presence_stale + 1, LIMITS.presence_stale + 9):
        clock.now = away + seconds
        watchers.look(away_since=away, good_at=away)
        told.append(sorted(watchers._changed))
        watchers._changed.clear()
    watchers.look(away_since=0.0, good_at=clock.now)
    watchers.look(away_since=clock.now, good_at=clock.now)
    clock.now += LIMITS.presence_stale + 1
    watchers.look(away_since=clock.now, good_at=clock.now)

    assert told == [[], [], [2], []]
    assert watchers._changed == {2}, "another time that Redis is away counts from its own beginning"
    assert watchers._timer is not None
    watchers._timer.cancel()
