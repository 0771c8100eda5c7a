"""A conversation's own settings change, and it ends: who may, what everybody is told, and that a repetition is nothing."""

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.conversations import conversations, queries
from chat.messages import history
from chat.models import Conversation, Member
from chat.refusals import NotAMember
from gateway.bus import Event
from gateway.errors import Forbidden, InvalidPayload
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, direct, draft, group, say, someone, store

ALL = {"name": "New", "topic": "What for", "avatar_url": "https://example.org/a.png", "shares_history": False}


def test_admin_changes_several_settings_under_one_rev_with_a_system_message(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone()
    chat = group(ada, bob)
    told.clear()

    conversations.change(ada.id, chat, ALL)

    seen = queries.conversation(bob.viewer, chat)
    assert (seen.name, seen.topic, seen.avatar_url, seen.shares_history) == tuple(ALL.values())
    assert rows.counters(chat) == (4, 1 + 1 + 4)
    assert [(e.rev, msgspec.json.decode(e.frame)["type"]) for e in told if e.conversation_id] == [
        (2, "chat.updated"),
        *((rev, "message.new") for rev in (3, 4, 5, 6)),
    ]
    assert rows.announced(chat) == [
        ({"event": "renamed", "name": "New"}, "Ada renamed this to “New”"),
        ({"event": "topic", "topic": "What for"}, "Ada changed the topic to “What for”"),
        ({"event": "avatar", "avatarUrl": ALL["avatar_url"]}, "Ada changed the picture"),
        ({"event": "history", "sharesHistory": False}, "Ada hides newcomers what was said before"),
    ]


def test_unchanged_setting_makes_no_rev(told: list[Event]) -> None:
    ada = someone()
    chat = group(ada)
    conversations.change(ada.id, chat, ALL)
    before = rows.counters(chat)
    told.clear()

    conversations.change(ada.id, chat, ALL)

    assert rows.counters(chat) == before
    assert told == []


def test_settings_need_an_admin_and_no_direct_chat() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat, pair = group(ada, bob), direct(ada, bob)

    for person, where, refusal in ((bob, chat, Forbidden), (eve, chat, NotAMember), (ada, pair, Forbidden)):
        with pytest.raises(refusal):
            conversations.change(person.id, where, {"name": "Mine"})
        with pytest.raises(refusal):
            conversations.dissolve(person.id, where)

    assert Conversation.objects.get(id=chat).name == "A group"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"topic": "x" * 501}, "topic"),
        ({"avatar_url": "javascript:alert(1)"}, "avatarUrl"),
    ],
)
def test_invalid_message_is_refused_with_its_field(wanted: dict[str, str], field: str) -> None:
    ada = someone()
    chat = group(ada)

    with pytest.raises(InvalidPayload) as refused:
        conversations.change(ada.id, chat, wanted)

    assert refused.value.field == field
    assert rows.counters(chat) == (0, 1)


def test_owner_dissolves_a_group_and_ends_all_memberships(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    Member.objects.filter(conversation_id=chat, user_id=bob.id).update(role="admin")
    said = say(bob, chat, "mine")
    told.clear()

    with pytest.raises(Forbidden):
        conversations.dissolve(bob.id, chat)
    conversations.dissolve(ada.id, chat)

    row = Conversation.objects.get(id=chat)
    assert (row.member_count, row.members_version, row.closed_at is not None) == (0, 2, True)
    removed = [e.users for e in told if e.users and msgspec.json.decode(e.frame)["type"] == "chat.removed"]
    assert sorted(user for users in removed for user in users) == [ada.id, bob.id]
    assert queries.conversation_list(ada.viewer).conversations == []
    assert store([draft(bob, chat)])[0].outcome == "NOT_A_MEMBER"
    assert history.message_by_id(bob.viewer, said.id).content == "mine", "what was sent to them is theirs (K44)"
    with pytest.raises(NotAMember):
        conversations.dissolve(ada.id, chat)


def test_new_group_starts_with_a_system_message(told: list[Event]) -> None:
    """F31."""
    ada, bob = someone("Ada"), someone()

    made = conversations.create_group(ada.id, "Tea", [bob.id])

    assert (made.seq, made.rev, made.unread_count) == (1, 1, 0)
    assert rows.announced(ConversationId(int(made.id))) == [
        ({"event": "created", "name": "Tea"}, "Ada created the group “Tea”")
    ]
    types = [msgspec.json.decode(event.frame)["type"] for event in told]
    assert types == ["chat.created", "chat.created", "message.new"], (
        "who is new knows the chat before its first message"
    )


def test_query_count_of_creating_and_ending_a_group_is_constant(many: list[Someone], told: list[Event]) -> None:
    ada, costs = someone(), []
    for people in (many[:60], many):
        with CaptureQueriesContext(connection) as made:
            chat = int(conversations.create_group(ada.id, "Tea", [person.id for person in people]).id)
        with CaptureQueriesContext(connection) as ended:
            conversations.dissolve(ada.id, ConversationId(chat))
        costs.append((len(made), len(ended)))

    assert costs[0] == costs[1]
    created = [e for e in told if e.users and msgspec.json.decode(e.frame)["type"] == "chat.created"]
    assert [len(event.users) for event in created] == [61, 200]
    assert all("chat" not in msgspec.json.decode(event.frame)["payload"] for event in created)
