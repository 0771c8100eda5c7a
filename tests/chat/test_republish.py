"""Republishing: what a gateway may not have published before it died reaches those who may see it, and nobody else."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from accounts import blocks
from chat.messages import feed
from chat.models import Message
from config.reactions import REACTIONS
from gateway.bus import Event
from outbox import jobs
from outbox.drain import drain
from outbox.models import Job, Outbox
from outbox.reactions import STALE_SECONDS
from tests.factories import direct, say_many, someone

(REPUBLISH,) = (reaction for reaction in REACTIONS if reaction.name == "republish")


@pytest.fixture(autouse=True)
def empty() -> None:
    """Begin without what other tests have recorded."""
    Outbox.objects.all().delete()
    Job.objects.all().delete()


def make_late() -> None:
    Outbox.objects.update(created_at=timezone.now() - timedelta(seconds=STALE_SECONDS + 1))


def work_off(told: list[Event]) -> list[Event]:
    """Drain and republish what is recorded, and return what was published by that."""
    told.clear()
    drain(REACTIONS)
    jobs.work(REPUBLISH)
    return list(told)


def payload(event: Event) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(event.frame)
    return {"type": decoded["type"], **decoded["payload"]}


def test_late_messages_are_republished_once_and_fresh_ones_never(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone()
    late, fresh = direct(ada, bob), direct(ada, someone())
    say_many(ada, late, 3)
    make_late()
    say_many(ada, fresh, 1)

    published = [event for event in work_off(told) if event.seq]

    assert [(event.seq, payload(event)["message"]["content"]) for event in published] == [(1, "1"), (2, "2"), (3, "3")]
    assert {event.conversation_id for event in published} == {late}
    assert [event.rev for event in published] == [2, 3, 4]
    assert work_off(told) == []


def test_conversation_that_cannot_be_republished_delays_no_other(
    told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = someone()
    failing, chat = direct(ada, someone()), direct(ada, someone())
    say_many(ada, failing, 1)
    say_many(ada, chat, 1)
    make_late()
    by_seq = feed.by_seq

    def fails(conversation_id: int, first: int, last: int) -> list[Event]:
        if conversation_id == failing:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return by_seq(conversation_id, first, last)

    monkeypatch.setattr(feed, "by_seq", fails)
    work_off(told)
    Job.objects.update(available_at=timezone.now())
    jobs.work(REPUBLISH)

    assert {event.conversation_id for event in told if event.seq} == {chat}
    assert [job.keys["conversation_id"] for job in Job.objects.all()] == [failing]


def test_republished_message_is_not_sent_to_a_user_who_blocks_its_sender(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, 1)
    make_late()

    (event,) = (event for event in work_off(told) if event.seq)

    assert bob.id in event.skip_users


def test_republished_message_stays_hidden_after_the_block_has_ended(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, 1)
    blocks.unblock(bob.id, ada.id)
    make_late()

    assert all(bob.id in event.skip_users for event in work_off(told) if event.seq)


def test_row_whose_messages_are_gone_delays_no_other(told: list[Event]) -> None:
    ada = someone()
    gone, chat = direct(ada, someone()), direct(ada, someone())
    say_many(ada, gone, 1)
    say_many(ada, chat, 1)
    Message.objects.filter(conversation_id=gone).delete()
    make_late()

    assert {event.conversation_id for event in work_off(told) if event.seq} == {chat}
    assert not Job.objects.exists()
