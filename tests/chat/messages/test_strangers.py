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


def test_stranger_is_a_sender_without_contact_or_answer() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    before = strangers.unknown_pair(ada.id, chat)
    say(bob, chat)
    answered = strangers.unknown_pair(ada.id, chat)

    assert (before, answered) == (True, False)
    assert strangers.unknown_pair(bob.id, chat), "nobody has answered him yet"


def test_sender_is_known_only_if_in_the_receivers_contacts() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    contacts.add(ada.id, bob.id)

    assert strangers.unknown_pair(ada.id, chat)
    assert not strangers.unknown_pair(bob.id, chat)


def test_group_messages_have_no_stranger_limit() -> None:
    ada, bob = someone(), someone()

    assert not strangers.unknown_pair(ada.id, group(ada, bob))


async def test_strangers_have_a_lower_message_limit(settings: Settings, told: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()
    unknown, known = direct(ada, bob), direct(ada, cem)
    say(cem, known)
    strict(settings, stranger_messages_per_minute=3)

    found = await outcomes(*[draft(ada, unknown) for _ in range(5)], *[draft(ada, known) for _ in range(5)])

    assert found == ["stored"] * 3 + ["RateLimited"] * 2 + ["stored"] * 5
    assert rows.counters(unknown)[0] == 3


async def test_answer_makes_a_stranger_known_at_once(settings: Settings, told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    strict(settings, stranger_messages_per_minute=1)

    before = await outcomes(draft(ada, chat), draft(ada, chat))
    say(bob, chat)
    after = await outcomes(draft(ada, chat), draft(ada, chat))

    assert (before, after) == (["stored", "RateLimited"], ["stored", "stored"])


async def test_burst_above_the_limit_is_refused_with_retry_after(settings: Settings, told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    strict(settings, messages_per_second=0.5, messages_burst=4)
    lane = Lane()

    answers = await asyncio.gather(*[lane.submit(draft(ada, chat)) for _ in range(6)], return_exceptions=True)

    refused = [a for a in answers if isinstance(a, RateLimited)]
    assert len(refused) == 2
    assert all(refusal.retry_after and 0 < refusal.retry_after <= 2 for refusal in refused)
    assert await outcomes(draft(bob, chat)) == ["stored"], "the limit is a user's own"


async def test_message_limit_per_minute_holds_besides_per_second(settings: Settings, told: list[Event]) -> None:
    ada = someone()
    chat = group(ada)
    strict(settings, messages_per_minute=5)

    assert (await outcomes(*[draft(ada, chat) for _ in range(7)])).count("stored") == 5


def test_sends_over_rest_and_from_tasks_share_the_limits(settings: Settings) -> None:
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


async def test_unknown_redis_script_is_loaded_again() -> None:
    key = f"ratelimit:{someone().id}:test"
    ask = Charge(key, (Window(0.01, 1),), 1, True)
    thread_client().script_flush()

    assert [await limits.charge([ask]) for _ in range(2)] == [[0.0], [pytest.approx(100, abs=1)]]
