"""Presence of connections: six states, best device, idleness, lost and closed connections, published changes."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from gateway.redis_clients import thread_client
from presence import store
from presence.connections import PresenceReporter
from tests.presence.simulation import Clock, Published, end_expired, make_connection, make_idle, status

_users = itertools.count(int(time.time() * 1_000_000))
LIMITS = settings.LIMITS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def published() -> Iterator[Published]:
    with Published() as published:
        yield published


@pytest.fixture
def user() -> int:
    return next(_users)


async def test_first_connection_is_available_and_last_close_is_offline_at_once(
    clock: Clock, published: Published, user: int
) -> None:
    reporter = PresenceReporter(clock)
    one, other = make_connection(user, 1), make_connection(user, 2)
    await reporter.report_opened(one)
    await reporter.report_opened(other)
    assert (status(user, clock), published.take_users()) == ("available", [user])

    await reporter.report_closed(one, on_purpose=True)
    assert (status(user, clock), published.take_users()) == ("available", [])
    await reporter.report_closed(other, on_purpose=True)
    assert (status(user, clock), published.take_users()) == ("offline", [user])


async def test_lost_connection_counts_until_its_time_and_any_process_ends_it(
    clock: Clock, published: Published, user: int
) -> None:
    """K22: 120 s after the last sign of life. Another process ends it, for its own may be dead."""
    reporter, other_reporter = PresenceReporter(clock), PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    await reporter.report_closed(connection, on_purpose=False)
    published.take_users()

    clock.now += LIMITS.presence_ttl - 1
    await end_expired(other_reporter)
    assert (status(user, clock), user in published.take_users()) == ("available", False)
    clock.now += 2
    await end_expired(other_reporter)
    assert (status(user, clock), user in published.take_users()) == ("offline", True)
    await end_expired(reporter)
    assert user not in published.take_users()


async def test_lost_connection_counts_from_its_last_sign_of_life(clock: Clock, published: Published, user: int) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    clock.now += LIMITS.presence_refresh - 1
    await reporter.report_closed(connection, on_purpose=False)

    clock.now += LIMITS.presence_ttl - 1
    still = status(user, clock)
    clock.now += 2

    assert (still, status(user, clock)) == ("available", "offline")


async def test_refresh_of_a_living_connection_publishes_nothing(clock: Clock, published: Published, user: int) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    published.take_users()
    key = f"presence:{user}"
    before = thread_client().hget(key, str(connection.id))

    reporter._reported[connection.id].reported_at -= LIMITS.presence_refresh + 1
    clock.now += LIMITS.presence_refresh
    await reporter.run_round()
    await reporter._submit(reporter._reported[connection.id], "put")

    assert thread_client().hget(key, str(connection.id)) != before
    assert user not in published.take_users()


async def test_five_idle_minutes_make_a_user_away_until_activity(clock: Clock, published: Published, user: int) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    published.take_users()

    make_idle(connection, LIMITS.presence_idle - 1)
    await _run_round(reporter, connection)
    assert (status(user, clock), user in published.take_users()) == ("available", False)
    make_idle(connection, LIMITS.presence_idle)
    await _run_round(reporter, connection)
    assert (status(user, clock), user in published.take_users()) == ("away", True)
    make_idle(connection, 0)
    await _run_round(reporter, connection)
    assert (status(user, clock), user in published.take_users()) == ("available", True)


async def test_connection_lost_while_away_stays_away_for_half_an_hour(
    clock: Clock, published: Published, user: int
) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    make_idle(connection, LIMITS.presence_idle)
    await reporter.report_opened(connection)
    await reporter.report_closed(connection, on_purpose=False)

    clock.now += LIMITS.presence_away_kept - 1
    await end_expired(reporter)
    kept = status(user, clock), status(user, clock, untimed=[user])
    clock.now += 2
    await end_expired(reporter)

    assert kept == ("away", "offline")
    assert status(user, clock) == "offline"


@pytest.mark.parametrize("chosen", ["away", "dnd", "brb", "in_meeting", "offline"])
async def test_chosen_state_lasts_until_available_is_chosen(
    clock: Clock, published: Published, user: int, chosen: str
) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    await reporter.choose_status(connection.id, chosen)
    make_idle(connection, 0)
    await _run_round(reporter, connection)
    held = status(user, clock)
    _reset_rate_limit(user)
    await reporter.choose_status(connection.id, "available")

    assert (held, status(user, clock)) == (chosen, "available")


async def test_state_is_that_of_the_best_device(clock: Clock, published: Published, user: int) -> None:
    """The order: available, in_meeting, dnd, brb, away, offline."""
    reporter, shown = PresenceReporter(clock), []
    for device, chosen in enumerate(["offline", "away", "brb", "dnd", "in_meeting", ""], start=1):
        connection = make_connection(user, device)
        if chosen:
            thread_client().hset(f"presence:{user}", f"c:{device}", chosen)
        await reporter.report_opened(connection)
        shown.append(status(user, clock))

    assert shown == ["offline", "away", "brb", "dnd", "in_meeting", "available"]


async def test_chosen_state_belongs_to_the_device_and_outlives_a_connection(
    clock: Clock, published: Published, user: int
) -> None:
    reporter = PresenceReporter(clock)
    first = make_connection(user, 1)
    await reporter.report_opened(first)
    await reporter.choose_status(first.id, "dnd")
    await reporter.report_closed(first, on_purpose=True)
    again, other = make_connection(user, 1), make_connection(user, 2)
    await reporter.report_opened(again)
    on_the_same = status(user, clock)
    await reporter.report_opened(other)

    assert (on_the_same, status(user, clock)) == ("dnd", "available")


async def test_first_choice_applies_at_once_and_the_last_after_ten_seconds(
    clock: Clock, published: Published, user: int
) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    for chosen in ("dnd", "brb", "away", "in_meeting"):
        await reporter.choose_status(connection.id, chosen)
    first, waiting = status(user, clock), reporter._reported[connection.id].waiting_choice
    assert waiting is not None
    waiting.cancel()
    _reset_rate_limit(user)
    await reporter._apply_later(reporter._reported[connection.id], 0)

    assert (first, status(user, clock)) == ("dnd", "in_meeting")


async def test_pending_choice_is_kept_when_its_connection_closes(clock: Clock, published: Published, user: int) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    await reporter.choose_status(connection.id, "dnd")
    await reporter.choose_status(connection.id, "offline")
    await reporter.report_closed(connection, on_purpose=True)
    await reporter.report_opened(make_connection(user))

    assert status(user, clock) == "offline"


async def test_reconnected_device_leaves_no_stale_connection(clock: Clock, published: Published, user: int) -> None:
    """A connection lost while away does not keep the device away once its next one is closed on purpose."""
    reporter = PresenceReporter(clock)
    lost, back = make_connection(user), make_connection(user)
    make_idle(lost, LIMITS.presence_idle)
    await reporter.report_opened(lost)
    await reporter.report_closed(lost, on_purpose=False)
    await reporter.report_opened(back)
    await reporter.report_closed(back, on_purpose=True)

    assert status(user, clock) == "offline"


async def test_mass_reconnect_publishes_nothing(clock: Clock, published: Published) -> None:
    """5,000 users reconnect to another process: their state is unchanged, so nothing is published."""
    users = [next(_users) for _ in range(5000)]
    before, after = PresenceReporter(clock), PresenceReporter(clock)
    lost = [make_connection(user) for user in users]
    await asyncio.gather(*(before.report_opened(connection) for connection in lost))
    assert sorted(published.take_users()) == users
    await asyncio.gather(*(before.report_closed(connection, on_purpose=False) for connection in lost[:2500]))
    clock.now += 20

    await asyncio.gather(*(after.report_opened(make_connection(user)) for user in users))
    await end_expired(after)

    assert set(published.take_users()) & set(users) == set()
    assert {status(user, clock) for user in users[::500]} == {"available"}


async def test_batch_of_changes_is_one_notice(clock: Clock, published: Published) -> None:
    reporter = PresenceReporter(clock)
    users = [next(_users) for _ in range(400)]

    await asyncio.gather(*(reporter.report_opened(make_connection(user)) for user in users))

    assert len(published.events) <= 2
    assert sorted(published.take_users()) == users


async def test_lost_answer_of_redis_makes_every_process_read_again(
    clock: Clock, published: Published, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script may have run although its answer was lost: then no process knows of the change."""
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)
    published.events.clear()
    apply_updates = store.apply_updates

    async def late(*args: Any, **more: Any) -> list[int]:
        await apply_updates(*args, **more)
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(store, "apply_updates", late)
        await reporter.report_closed(connection, on_purpose=True)
    unheard = list(published.events)
    await reporter.run_round()
    await reporter.run_round()

    assert (status(user, clock), unheard) == ("offline", [])
    assert [event.notice for event in published.events].count("lost") == 1


async def test_presence_keys_expire_in_redis(clock: Clock, published: Published, user: int) -> None:
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    await reporter.report_opened(connection)

    assert 0 < thread_client().ttl(f"presence:{user}") <= 3600


async def test_presence_key_outlives_a_lost_connection_shown_away(
    clock: Clock, published: Published, user: int, settings: Settings
) -> None:
    settings.LIMITS = replace(LIMITS, presence_away_kept=7200)
    reporter = PresenceReporter(clock)
    connection = make_connection(user)
    make_idle(connection, LIMITS.presence_idle)
    await reporter.report_opened(connection)
    await reporter.report_closed(connection, on_purpose=False)
    clock.now += LIMITS.presence_ttl + 1
    await end_expired(reporter)

    assert thread_client().ttl(f"presence:{user}") >= 7200 - LIMITS.presence_ttl


async def test_last_seen_fields_of_old_devices_are_deleted(clock: Clock, published: Published, user: int) -> None:
    """The hash of a user who is always online never expires; by then the device's row has its last seen."""
    reporter = PresenceReporter(clock)
    for device in (1, 2):
        await reporter.report_opened(make_connection(user, device))
        clock.now += 86_401
    await reporter.report_opened(make_connection(user, 3))

    assert [device for device, _ in store.read_records([user])[user].seen] == [3]


async def _run_round(reporter: PresenceReporter, connection: object) -> None:
    """Run a round, and wait for the reports that it started."""
    await reporter.run_round()
    reports = reporter._reports
    if reports._task is not None:
        await reports._task


def _reset_rate_limit(user: int) -> None:
    thread_client().delete(f"ratelimit:{user}:presence")
