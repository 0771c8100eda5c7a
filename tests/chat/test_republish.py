"""Republishing: what a gateway may not have published before it died reaches those who may see it, and nobody else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from accounts import blocks
from chat.conversations import conversations, members
from chat.ids import MessageId
from chat.messages import deletions, edits, feed, reactions
from chat.models import Message
from config.reactions import REACTIONS
from gateway.bus import Event
from gateway.ids import ConversationId
from outbox import jobs
from outbox.drain import drain
from outbox.models import Job, Outbox
from outbox.reactions import STALE_SECONDS
from tests.factories import Someone, direct, draft, group, say_many, someone, store

(REPUBLISH,) = (reaction for reaction in REACTIONS if reaction.name == "republish")


@pytest.fixture(autouse=True)
def empty() -> None:
    """Begin without what other tests have recorded."""
    Outbox.objects.all().delete()
    Job.objects.all().delete()


def make_late() -> None:
    Outbox.objects.update(created_at=timezone.now() - timedelta(seconds=STALE_SECONDS + 1))


def process_due(told: list[Event]) -> list[Event]:
    """Drain and republish what is recorded, and return what was published by that."""
    told.clear()
    drain(REACTIONS)
    jobs.work(REPUBLISH)
    return list(told)


def payload(event: Event) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(event.frame)
    return {"type": decoded["type"], **decoded["payload"]}


def test_late_messages_are_republished_once_and_fresh_ones_are_not(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone()
    late, fresh = direct(ada, bob), direct(ada, someone())
    say_many(ada, late, 3)
    make_late()
    say_many(ada, fresh, 1)

    published = [event for event in process_due(told) if event.seq]

    assert [(event.seq, payload(event)["message"]["content"]) for event in published] == [(1, "1"), (2, "2"), (3, "3")]
    assert {event.conversation_id for event in published} == {late}
    assert [event.rev for event in published] == [2, 3, 4]
    assert process_due(told) == []


def test_conversation_that_cannot_be_republished_delays_no_other(
    told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = someone()
    failing, chat = direct(ada, someone()), direct(ada, someone())
    say_many(ada, failing, 1)
    say_many(ada, chat, 1)
    make_late()
    by_seq = feed.by_seq

    def fails(conversation_id: ConversationId, first: int, last: int) -> list[Event]:
        if conversation_id == failing:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return by_seq(conversation_id, first, last)

    monkeypatch.setattr(feed, "by_seq", fails)
    process_due(told)
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

    (event,) = (event for event in process_due(told) if event.seq)

    assert bob.id in event.skip_users


def test_republished_message_stays_hidden_after_the_block_has_ended(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, 1)
    blocks.unblock(bob.id, ada.id)
    make_late()

    assert all(bob.id in event.skip_users for event in process_due(told) if event.seq)


def test_outbox_row_without_messages_delays_no_other(told: list[Event]) -> None:
    ada = someone()
    gone, chat = direct(ada, someone()), direct(ada, someone())
    say_many(ada, gone, 1)
    say_many(ada, chat, 1)
    Message.objects.filter(conversation_id=gone).delete()
    make_late()

    assert {event.conversation_id for event in process_due(told) if event.seq} == {chat}
    assert not Job.objects.exists()


CHANGES: dict[str, Callable[[Someone, Someone, int, int], object]] = {
    "an edit": lambda ada, bob, chat, message: edits.edit(ada.id, MessageId(message), "new words"),
    "a reaction": lambda ada, bob, chat, message: reactions.add(bob.id, MessageId(message), "👍"),
    "a deletion": lambda ada, bob, chat, message: deletions.delete(ada.id, MessageId(message)),
    "a name": lambda ada, bob, chat, message: conversations.change(ada.id, ConversationId(chat), {"name": "Another"}),
    "a role": lambda ada, bob, chat, message: members.set_role(ada.id, ConversationId(chat), bob.id, "admin"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_late_change_is_republished_with_the_rev_that_it_made(
    told: list[Event], change: Callable[[Someone, Someone, int, int], object]
) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    (stored,) = store([draft(ada, chat)])
    Outbox.objects.all().delete()
    told.clear()
    change(ada, bob, chat, stored.id)
    live = {event.rev: payload(event)["type"] for event in told if event.conversation_id == chat}
    make_late()

    again = {event.rev: payload(event)["type"] for event in process_due(told) if event.conversation_id == chat}

    # A reaction is read back with its whole message.
    assert again == {rev: type_.replace("message.reaction", "message.updated") for rev, type_ in live.items()}
    assert again


def test_superseded_change_is_republished_once(told: list[Event]) -> None:
    ada, chat = someone(), 0
    chat = group(ada)
    (stored,) = store([draft(ada, chat)])
    Outbox.objects.all().delete()
    edits.edit(ada.id, stored.id, "second")
    edited = edits.edit(ada.id, stored.id, "third")
    make_late()

    (event,) = process_due(told)

    assert (event.rev, payload(event)["message"]["content"]) == (edited.rev, "third")


def test_late_deletion_for_oneself_is_republished_to_own_devices_only(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    (stored,) = store([draft(ada, chat)])
    Outbox.objects.all().delete()
    deletions.hide(bob.id, stored.id)
    make_late()

    (event,) = process_due(told)

    assert list(event.users) == [bob.id]
    assert (payload(event)["type"], payload(event)["messageId"]) == ("message.deleted", str(stored.id))


def test_late_join_opens_the_chat_to_current_members(told: list[Event]) -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = group(ada)
    members.add(ada.id, chat, bob.id, eve.id)
    Outbox.objects.all().delete()
    members.remove(ada.id, chat, eve.id)
    members.add(ada.id, chat, eve.id)
    members.remove(ada.id, chat, bob.id)
    make_late()

    told_users = [(payload(e)["type"], list(e.users)) for e in process_due(told) if e.users and e.frame]

    assert ("chat.created", [eve.id]) in told_users
    assert ("chat.removed", [bob.id]) in told_users
    assert ("chat.removed", [eve.id]) not in told_users


def test_late_direct_chat_is_not_opened_to_a_user_who_blocks_its_creator(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    blocks.block(bob.id, ada.id)
    direct(ada, bob)
    make_late()

    assert [list(event.users) for event in process_due(told) if event.users] == [[ada.id]]
