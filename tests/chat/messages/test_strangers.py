"""Strangers write less: who counts as one (U7), and the buckets that hold them and everybody else (F283, F284, F292)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from accounts import contacts
from chat.drafts import Draft, Stored
from chat.messages import strangers
from chat.messages.ingest import Lane
from chat.refusals import UrgentLimit
from gateway import limits
from gateway.bus import Event
from gateway.errors import RateLimited
from gateway.limits import Charge, Window
from gateway.redis_clients import thread_client
from tests.chat import rows
from tests.factories import direct, draft, group, say, someone


async def outcomes(*drafts: Draft) -> list[str]:
    lane = Lane()
    answers = await asyncio.gather(*map(lane.submit, drafts), return_exceptions=True)
    return ["stored" if isinstance(a, Stored) else type(a).__name__ for a in answers]


def strict(settings: Settings, **numbers: Any) -> None:
    settings.LIMITS = replace(settings.LIMITS, **numbers)


def test_a_stranger_is_neither_in_the_others_contacts_nor_was_ever_answered() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    before = strangers.among_now(ada.id, chat)
    say(bob, chat)
    answered = strangers.among_now(ada.id, chat)

    assert (before, answered) == (True, False)
    assert strangers.among_now(bob.id, chat), "nobody has answered him yet"


def test_being_in_the_others_contacts_is_acquaintance_having_them_in_ones_own_is_not() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    contacts.add(ada.id, bob.id)

    assert strangers.among_now(ada.id, chat)
    assert not strangers.among_now(bob.id, chat)


def test_nobody_is_a_stranger_in_a_group() -> None:
    ada, bob = someone(), someone()

    assert not strangers.among_now(ada.id, group(ada, bob))


async def test_a_stranger_is_stopped_while_an_acquaintance_writes_on(settings: Settings, told: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()
    unknown, known = direct(ada, bob), direct(ada, cem)
    say(cem, known)
    strict(settings, stranger_messages_per_minute=3)

    found = await outcomes(*[draft(ada, unknown) for _ in range(5)], *[draft(ada, known) for _ in range(5)])

    assert found == ["stored"] * 3 + ["RateLimited"] * 2 + ["stored"] * 5
    assert rows.counters(unknown)[0] == 3


async def test_an_answer_ends_strangeness_at_once(settings: Settings, told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    strict(settings, stranger_messages_per_minute=1)

    before = await outcomes(draft(ada, chat), draft(ada, chat))
    say(bob, chat)
    after = await outcomes(draft(ada, chat), draft(ada, chat))

    assert (before, after) == (["stored", "RateLimited"], ["stored", "stored"])


async def test_a_burst_is_taken_and_then_refused_with_the_time_to_wait(settings: Settings, told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    strict(settings, messages_per_second=0.5, messages_burst=4)
    lane = Lane()

    answers = await asyncio.gather(*[lane.submit(draft(ada, chat)) for _ in range(6)], return_exceptions=True)

    refused = [a for a in answers if isinstance(a, RateLimited)]
    assert len(refused) == 2
    assert all(refusal.retry_after and 0 < refusal.retry_after <= 2 for refusal in refused)
    assert await outcomes(draft(bob, chat)) == ["stored"], "the limit is a user's own"


async def test_the_minutes_window_holds_besides_the_seconds(settings: Settings, told: list[Event]) -> None:
    ada = someone()
    chat = group(ada)
    strict(settings, messages_per_minute=5)

    assert (await outcomes(*[draft(ada, chat) for _ in range(7)])).count("stored") == 5


def test_a_send_over_rest_or_from_a_task_is_limited_alike(settings: Settings) -> None:
    ada = someone()
    chat = group(ada)
    strict(settings, messages_per_second=0.01, messages_burst=2)

    say(ada, chat)
    say(ada, chat)
    with pytest.raises(RateLimited):
        say(ada, chat)

    assert rows.counters(chat)[0] == 2


async def test_urgent_messages_have_their_own_limit(settings: Settings, told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    strict(settings, urgent_per_hour=3)
    urgent = [draft(ada, chat, priority="urgent") for _ in range(4)]

    found = await outcomes(*urgent, draft(ada, chat))

    assert found == ["stored"] * 3 + [UrgentLimit.__name__, "stored"]


async def test_a_redis_that_does_not_know_the_script_is_taught_it() -> None:
    key = f"ratelimit:{someone().id}:test"
    ask = Charge(key, (Window(0.01, 1),), 1, True)
    thread_client().script_flush()

    assert [await limits.charge([ask]) for _ in range(2)] == [[0.0], [pytest.approx(100, abs=1)]]
