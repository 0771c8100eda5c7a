"""Who writes to very many people within an hour is slowed everywhere, and flagged for the staff (F241)."""

import logging
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from chat.drafts import Stored
from chat.messages import ingest, reach
from chat.messages.ingest import Lane
from chat.models import Flag
from gateway.errors import RateLimited
from gateway.ids import ConversationId
from tests.factories import Someone, direct, draft, group, someone


@pytest.fixture
def few(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, recipients_per_hour=3, stranger_messages_per_minute=2)


async def said(person: Someone, *chats: int) -> list[Stored | BaseException]:
    lane = Lane()
    return [answer for chat in chats for answer in await lane._work([draft(person, ConversationId(chat))])]


def acquainted(person: Someone, count: int) -> list[ConversationId]:
    """Return direct chats in which the other has spoken first: the person is no stranger there."""
    others = [someone() for _ in range(count)]
    chats = [direct(other, person) for other in others]
    for other, chat in zip(others, chats, strict=True):
        ingest.store_within(draft(other, chat))
    return chats


def outcomes(answers: list[Stored | BaseException]) -> list[str]:
    return [answer.outcome if isinstance(answer, Stored) else type(answer).__name__ for answer in answers]


async def test_user_above_the_recipient_limit_has_the_strangers_rate_even_in_groups(
    few: None, caplog: pytest.LogCaptureFixture
) -> None:
    ada = someone()
    chats, tea = acquainted(ada, 4), group(ada, someone())

    with caplog.at_level(logging.WARNING, "chat.messages.reach"):
        first = outcomes(await said(ada, *chats[:3], *chats[:3], tea))
        after = outcomes(await said(ada, chats[3], tea, tea, chats[0]))

    assert first == ["stored"] * 7, "three people may be written to as often as one likes"
    assert after == ["stored", "stored", "RateLimited", "RateLimited"]
    assert [(flag.reason, "3 people" in flag.detail) for flag in Flag.objects.filter(user_id=ada.id)] == [
        ("reach", True)
    ]
    assert sum(str(ada.id) in record.getMessage() for record in caplog.records) == 1


async def test_messages_to_few_recipients_are_neither_slowed_nor_flagged(few: None) -> None:
    bob = someone()
    chats = acquainted(bob, 3)

    for _ in range(3):
        assert outcomes(await said(bob, *chats)) == ["stored"] * 3
        reach._counted.clear()

    assert not Flag.objects.filter(user_id=bob.id).exists()


def test_recipients_are_counted_in_processes_without_a_hub(few: None) -> None:
    ada = someone()
    chats = acquainted(ada, 5)

    for chat in chats[:4]:
        ingest.store(draft(ada, chat))
    ingest.store(draft(ada, ConversationId(chats[0])))
    with pytest.raises(RateLimited):
        ingest.store(draft(ada, ConversationId(chats[4])))

    assert Flag.objects.filter(user_id=ada.id).count() == 1
