"""Each change of chat records its event, with the keys that its readers need, in one INSERT more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import blocks
from chat.conversations import conversations, members
from chat.files import expiry
from chat.ids import MessageId
from chat.messages import deletions, edits, polls, reactions
from chat.models import Attachment, Conversation, Message, MessageVersion
from chat.teams import channels, teams
from gateway.ids import ConversationId, UserId
from outbox.models import Outbox
from receipts.marks import Mark, record_marks
from tests.chat.uploads import ready
from tests.factories import Someone, direct, draft, group, say, someone, store

POLL = {"question": "?", "options": ["a", "b"]}


class Place(NamedTuple):
    """A group of three with a message of its owner and a poll."""

    ada: Someone
    bob: Someone
    eve: Someone
    chat: int
    message: int
    seq: int
    poll: int


@pytest.fixture
def place() -> Place:
    ada, bob, eve = someone("Ada"), someone("Bob"), someone("Eve")
    chat = group(ada, bob, eve)
    message, poll = store([draft(ada, chat), draft(ada, chat, "", content_type="poll", data=POLL)])
    polls.vote(eve.id, poll.id, [1])
    reactions.add(eve.id, message.id, "🎉")
    Outbox.objects.all().delete()
    return Place(ada, bob, eve, chat, message.id, message.seq or 0, poll.id)


def recorded() -> list[tuple[str, Any]]:
    """Return the events that were recorded, but those of stored messages."""
    found = Outbox.objects.exclude(event="messages.stored").order_by("id")
    return [(row.event, row.data) for row in found]


def message_keys(at: Place, **more: Any) -> dict[str, Any]:
    rev = Conversation.objects.get(id=at.chat).rev
    return {"conversation_id": at.chat, "seq": at.seq, "message_id": at.message, "rev": rev, **more}


def poll_keys(at: Place, **more: Any) -> dict[str, Any]:
    return {**message_keys(at, **more), "seq": at.seq + 1, "message_id": at.poll}


Change = tuple[Callable[[Place], object], str, Callable[[Place], dict[str, Any]]]
CHANGES: dict[str, Change] = {
    "an edit": (
        lambda at: edits.edit(at.ada.id, MessageId(at.message), "new @all", mentions=[at.bob.id]),
        "messages.changed",
        lambda at: message_keys(
            at, change="edited", actor_id=at.ada.id, mentions_added=[at.bob.id], everyone_added=True
        ),
    ),
    "a reaction": (
        lambda at: reactions.add(at.bob.id, MessageId(at.message), "👍"),
        "messages.changed",
        lambda at: message_keys(at, change="reacted", actor_id=at.bob.id, emoji="👍", added=True),
    ),
    "a reaction taken away": (
        lambda at: reactions.remove(at.eve.id, MessageId(at.message), "🎉"),
        "messages.changed",
        lambda at: message_keys(at, change="reacted", actor_id=at.eve.id, emoji="🎉", added=False),
    ),
    "a vote": (
        lambda at: polls.vote(at.bob.id, MessageId(at.poll), [0]),
        "messages.changed",
        lambda at: poll_keys(at, change="voted", actor_id=at.bob.id),
    ),
    "the end of a poll": (
        lambda at: polls.close(at.ada.id, MessageId(at.poll)),
        "messages.changed",
        lambda at: poll_keys(at, change="closed", actor_id=at.ada.id),
    ),
    "a deletion for everyone": (
        lambda at: deletions.delete(at.ada.id, MessageId(at.message)),
        "messages.deleted",
        lambda at: message_keys(at, by=at.ada.id),
    ),
    "a deletion for oneself": (
        lambda at: deletions.hide(at.bob.id, MessageId(at.message)),
        "messages.deleted",
        lambda at: {
            "conversation_id": at.chat, "seq": at.seq, "message_id": at.message, "by": at.bob.id, "only_for": at.bob.id,
        },
    ),
    "a new name": (
        lambda at: conversations.change(at.ada.id, ConversationId(at.chat), {"name": "Another", "topic": "Now"}),
        "conversation.changed",
        lambda at: {"conversation_id": at.chat, "rev": settings_rev(at), "fields": ["name", "topic"]},
    ),
    "leaving": (
        lambda at: members.remove(at.bob.id, ConversationId(at.chat), at.bob.id),
        "members.changed",
        lambda at: member_keys(at, "left", [at.bob.id], at.bob.id),
    ),
    "a removal": (
        lambda at: members.remove(at.ada.id, ConversationId(at.chat), at.bob.id),
        "members.changed",
        lambda at: member_keys(at, "removed", [at.bob.id], at.ada.id),
    ),
    "a promotion": (
        lambda at: members.set_role(at.ada.id, ConversationId(at.chat), at.bob.id, "admin"),
        "members.changed",
        lambda at: member_keys(at, "role", [at.bob.id], at.ada.id),
    ),
    "a new owner": (
        lambda at: members.set_role(at.ada.id, ConversationId(at.chat), at.bob.id, "owner"),
        "members.changed",
        lambda at: member_keys(at, "role", [at.bob.id, at.ada.id], at.ada.id),
    ),
}  # fmt: skip


def settings_rev(at: Place) -> int:
    return Conversation.objects.get(id=at.chat).settings_rev


def member_keys(at: Place, change: str, user_ids: list[int], actor_id: UserId) -> dict[str, Any]:
    return {
        "conversation_id": at.chat,
        "user_ids": user_ids,
        "change": change,
        "actor_id": actor_id,
        "rev": settings_rev(at),
    }


@pytest.mark.parametrize("name", CHANGES)
def test_change_records_its_event_once(place: Place, name: str) -> None:
    change, event, keys = CHANGES[name]

    with CaptureQueriesContext(connection) as captured:
        change(place)

    assert recorded() == [(event, keys(place))]
    inserts = [q["sql"] for q in captured.captured_queries if q["sql"].startswith("INSERT INTO chat_outbox")]
    assert len(inserts) == 1, "one statement more"


@pytest.mark.parametrize("name", CHANGES)
def test_rolled_back_change_records_nothing(place: Place, name: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        CHANGES[name][0](place)
        raise ZeroDivisionError

    assert not Outbox.objects.exists()


REPETITIONS: dict[str, Callable[[Place], object]] = {
    "the same words": lambda at: edits.edit(at.ada.id, MessageId(at.message), "hello"),
    "the same emoji": lambda at: reactions.add(at.eve.id, MessageId(at.message), "🎉"),
    "the same vote": lambda at: polls.vote(at.eve.id, MessageId(at.poll), [1]),
    "the same name": lambda at: conversations.change(at.ada.id, ConversationId(at.chat), {"name": "A group"}),
    "the same role": lambda at: members.set_role(at.ada.id, ConversationId(at.chat), at.bob.id, "member"),
    "a member who is one already": lambda at: members.add(at.ada.id, ConversationId(at.chat), at.bob.id),
    "a read mark": lambda at: record_marks([Mark(at.bob.id, ConversationId(at.chat), 2, 2, at.bob.device_id)]),
}


@pytest.mark.parametrize("name", REPETITIONS)
def test_unchanged_state_records_no_event(place: Place, name: str) -> None:
    REPETITIONS[name](place)

    assert recorded() == []


def test_join_event_names_the_members_and_the_actor(place: Place) -> None:
    new = someone()

    members.add(place.ada.id, ConversationId(place.chat), new.id)

    assert recorded() == [("members.changed", member_keys(place, "joined", [new.id], place.ada.id))]


def test_leaving_owner_records_the_role_of_the_heir(place: Place) -> None:
    members.remove(place.ada.id, ConversationId(place.chat), place.ada.id)

    assert recorded() == [
        ("members.changed", member_keys(place, "left", [place.ada.id], place.ada.id)),
        ("members.changed", member_keys(place, "role", [place.bob.id], place.ada.id)),
    ]


def test_dissolution_records_all_removals_and_the_end(place: Place) -> None:
    conversations.dissolve(place.ada.id, ConversationId(place.chat))

    (removed, ended) = recorded()

    assert set(removed[1].pop("user_ids")) == {place.ada.id, place.bob.id, place.eve.id}
    assert (removed[0], removed[1]["change"], removed[1]["actor_id"]) == ("members.changed", "removed", place.ada.id)
    keys = {"conversation_id": place.chat, "rev": settings_rev(place), "fields": ["closed_at"]}
    assert ended == ("conversation.changed", keys)


def test_new_conversations_record_their_first_members() -> None:
    ada, bob = someone(), someone()
    team = teams.create(ada.id, "Crew")
    Outbox.objects.all().delete()

    chat = direct(ada, bob)
    direct(bob, ada)
    channel = int(channels.create(ada.id, team, kind="channel", name="deck").id)

    joined = {"change": "joined", "actor_id": ada.id}
    assert recorded() == [
        ("members.changed", {"conversation_id": chat, "user_ids": [ada.id, bob.id], **joined}),
        ("members.changed", {"conversation_id": channel, "user_ids": [ada.id], **joined}),
    ]


def test_leaving_a_team_records_the_leaving_of_its_channels() -> None:
    ada, bob = someone(), someone()
    team = teams.create(ada.id, "Crew")
    teams.add(ada.id, team, bob.id)
    channel = int(channels.create(ada.id, team, kind="channel", name="deck", member_ids=[bob.id]).id)
    Outbox.objects.all().delete()

    teams.remove(ada.id, team, bob.id)

    assert [(event, keys["conversation_id"], keys["user_ids"], keys["change"]) for event, keys in recorded()] == [
        ("members.changed", channel, [bob.id], "removed")
    ]


def test_edit_event_names_only_new_mentions(place: Place) -> None:
    edits.edit(place.ada.id, MessageId(place.message), "both", mentions=[place.bob.id])
    edits.edit(place.ada.id, MessageId(place.message), "both @all", mentions=[place.bob.id, place.eve.id])
    edits.edit(place.ada.id, MessageId(place.message), "none", mentions=[])

    keys = [(row.get("mentions_added"), row.get("everyone_added")) for _, row in recorded()]
    assert keys == [([place.bob.id], None), ([place.eve.id], True), (None, None)]


def test_purge_event_names_the_purged_messages(place: Place) -> None:
    edits.edit(place.ada.id, MessageId(place.message), "second")
    deletions.delete(place.ada.id, MessageId(place.message))
    MessageVersion.objects.filter(purge_at__isnull=False).exclude(message_id=place.message).update(purge_at=None)
    MessageVersion.objects.filter(message_id=place.message).update(purge_at=timezone.now() - timedelta(seconds=1))
    Outbox.objects.all().delete()

    assert deletions.purge() == 2
    assert deletions.purge() == 0

    assert recorded() == [("messages.purged", {"conversation_id": place.chat, "seqs": [place.seq]})]


def test_expired_file_records_a_change_without_actor(place: Place, settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, attachment_days=1)
    file = ready(place.ada)
    sent = say_with(place, file.id)
    Attachment.objects.filter(id=file.id).update(stored_at=timezone.now() - timedelta(days=10_000))
    Outbox.objects.all().delete()

    expiry.sweep()

    mine = [keys for event, keys in recorded() if event == "messages.changed" and keys["conversation_id"] == place.chat]
    rev = Message.objects.get(conversation_id=place.chat, id=sent).rev
    seq = Message.objects.get(conversation_id=place.chat, id=sent).seq
    assert mine == [{"conversation_id": place.chat, "seq": seq, "message_id": sent, "rev": rev, "change": "files"}]


def say_with(at: Place, file: int) -> int:
    (stored,) = store([draft(at.ada, ConversationId(at.chat), "with a file", attachments=[str(file)])])
    assert stored.id is not None
    return stored.id


def test_change_dropped_by_a_block_records_nothing() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)
    blocks.block(bob.id, ada.id)
    Outbox.objects.all().delete()

    edits.edit(ada.id, message.id, "past the block")
    reactions.add(ada.id, message.id, "👍")

    assert recorded() == []
