"""Subscriptions: their limit and expiry, and no state sent twice, on a clock that the test advances."""

import asyncio
import json
from typing import Any

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateway.connection import Connection
from gateway.frames import Session
from gateway.ids import DeviceId, UserId
from presence import states
from presence.states import State
from presence.subscriptions import DROP_SECONDS, Subscriptions, TooManySubscriptions
from tests.factories import Someone, group, someone
from tests.presence.simulation import Clock

LIMITS = settings.LIMITS


class Subscriber:
    """A viewer's connection that collects its frames in a list."""

    def __init__(self, viewer: Someone, number: int = 1) -> None:
        self.frames: list[Any] = []
        self.connection = Connection(number, Session(viewer.id, viewer.device_id, None), self.send, limit=100)
        self.connection.greet([])

    async def send(self, message: dict[str, Any]) -> None:
        self.frames.append(json.loads(message["text"])["payload"])


async def test_unchanged_state_is_not_sent_again() -> None:
    """A state that changes and changes back within a batch costs no frame."""
    ada, bob = someone(), someone()
    group(ada, bob)
    subscriptions, subscriber = Subscriptions(), Subscriber(bob)
    subscriptions.subscribe(subscriber.connection, [ada.id])

    for _ in range(3):
        await subscriptions.send_states([ada.id])

    assert [len(payload["changes"]) for payload in subscriber.frames] == [1]


async def test_change_of_users_without_subscribers_starts_nothing() -> None:
    subscriptions = Subscriptions()

    subscriptions.schedule(range(5000))

    assert (subscriptions._timer, subscriptions._pending) == (None, set())


async def test_subscription_expires_after_ten_minutes_unless_renewed() -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    clock = Clock()
    subscriptions, subscriber = Subscriptions(clock), Subscriber(bob)
    subscriptions.subscribe(subscriber.connection, [ada.id, bob.id])
    clock.now += LIMITS.presence_subscription_life - 1
    subscriptions.subscribe(subscriber.connection, [bob.id])
    clock.now += DROP_SECONDS + 1

    await subscriptions.send_states([ada.id, bob.id])
    sent = [change["userId"] for payload in subscriber.frames for change in payload["changes"]]
    subscriptions.drop_expired()

    assert sent == [str(bob.id)]
    assert subscriptions.subscribed_users() == [bob.id] == list(subscriber.connection.watching)


async def test_connection_is_limited_to_a_hundred_live_subscriptions() -> None:
    clock = Clock()
    subscriptions, subscriber = Subscriptions(clock), Subscriber(Someone(UserId(1), "Ada", DeviceId(1), ""))
    most = LIMITS.presence_subscriptions
    subscriptions.subscribe(subscriber.connection, range(1, most + 1))

    with pytest.raises(TooManySubscriptions):
        subscriptions.subscribe(subscriber.connection, [most + 1])
    held = len(subscriber.connection.watching)
    clock.now += LIMITS.presence_subscription_life
    subscriptions.subscribe(subscriber.connection, [most + 1])

    assert (held, list(subscriber.connection.watching)) == (most, [most + 1])


async def test_closed_connection_keeps_its_subscriptions_for_resume() -> None:
    subscriptions, subscriber = Subscriptions(), Subscriber(Someone(UserId(1), "Ada", DeviceId(1), ""))
    subscriptions.subscribe(subscriber.connection, [2, 3])

    subscriptions.forget(subscriber.connection)

    assert (subscriptions.subscribed_users(), list(subscriber.connection.watching)) == ([], [2, 3])


async def test_connection_closed_during_a_read_leaves_nothing_behind() -> None:
    ada, bob = someone(), someone()
    group(ada, bob)
    subscriptions, subscriber = Subscriptions(), Subscriber(bob)
    subscriptions.subscribe(subscriber.connection, [ada.id])

    sending = asyncio.ensure_future(subscriptions.send_states([ada.id]))
    await asyncio.sleep(0)
    subscriptions.forget(subscriber.connection)
    await sending
    subscriptions.note_sent(subscriber.connection, {ada.id: State("available")})

    assert (subscriber.frames, subscriptions._last_sent) == ([], {})


@pytest.mark.parametrize("fault", [OperationalError, InterfaceError])
async def test_states_are_sent_later_after_a_failed_read(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    subscriptions, subscriber = Subscriptions(), Subscriber(Someone(UserId(1), "Ada", DeviceId(1), ""))
    subscriptions.subscribe(subscriber.connection, [2])

    def read_states(*_: Any) -> None:
        raise fault("the database is unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(states, "read_states", read_states)
        await subscriptions.send_states([2])

    assert subscriptions._pending == {2}
    assert subscriptions._timer is not None
    subscriptions._timer.cancel()


async def test_subscribers_are_sent_unknown_once_when_redis_fails() -> None:
    clock = Clock()
    subscriptions, subscriber = Subscriptions(clock), Subscriber(Someone(UserId(1), "Ada", DeviceId(1), ""))
    subscriptions.subscribe(subscriber.connection, [2])
    away = clock.now

    sent = []
    for seconds in (1, LIMITS.presence_stale - 1, LIMITS.presence_stale + 1, LIMITS.presence_stale + 9):
        clock.now = away + seconds
        subscriptions.follow_redis(failed_at=away, answered_at=away)
        sent.append(sorted(subscriptions._pending))
        subscriptions._pending.clear()
    subscriptions.follow_redis(failed_at=0.0, answered_at=clock.now)
    subscriptions.follow_redis(failed_at=clock.now, answered_at=clock.now)
    clock.now += LIMITS.presence_stale + 1
    subscriptions.follow_redis(failed_at=clock.now, answered_at=clock.now)

    assert sent == [[], [], [2], []]
    assert subscriptions._pending == {2}, "a second failure of Redis is timed from its own start"
    assert subscriptions._timer is not None
    subscriptions._timer.cancel()
