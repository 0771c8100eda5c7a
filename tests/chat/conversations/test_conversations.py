"""Conversations come into being: direct chats, groups, and who is told."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from pytest_django.fixtures import Settings

from accounts import blocks
from accounts.models import User
from chat.conversations import conversations, queries
from chat.models import Conversation, Member
from chat.refusals import GroupTooLarge, NotAMember
from gateway.bus import Event
from gateway.errors import InvalidPayload, NotFound, RateLimited
from gateway.ids import ConversationId
from tests.factories import crowd, direct, group, say, someone

CONVERSATION = {
    "id", "kind", "name", "topic", "avatarUrl", "teamId", "seq", "rev", "membersVersion", "memberCount", "members",
    "lastMessage", "unreadCount", "mentionCount", "pinned", "archived", "mutedUntil", "markedUnread", "blocked", "draft", "private", "sharesHistory",
    "createdAt", "createdBy",
}  # fmt: skip


def types_told(told: list[Event]) -> Counter[tuple[int, str]]:
    """Return what was told to whom by name."""
    return Counter((user, msgspec.json.decode(event.frame)["type"]) for event in told for user in event.users)


def test_both_users_open_the_same_direct_chat(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone("Bob")

    first, made = conversations.open_direct(ada.id, bob.id)
    again, made_again = conversations.open_direct(bob.id, ada.id)

    assert (made, made_again) == (True, False)
    assert first.id == again.id
    assert [(m.user_id, m.n, m.role) for m in first.members] == [(str(ada.id), 1, "member"), (str(bob.id), 2, "member")]
    assert (first.seq, first.rev, first.members_version, first.member_count) == (0, 1, 1, 2)
    assert types_told(told) == {(ada.id, "chat.created"): 1, (bob.id, "chat.created"): 1}


def test_direct_chat_needs_another_existing_user() -> None:
    ada, gone = someone(), someone()
    User.objects.filter(id=gone.id).update(is_active=False)

    with pytest.raises(InvalidPayload) as himself:
        conversations.open_direct(ada.id, ada.id)
    for nobody in (gone.id, 1):
        with pytest.raises(NotFound):
            conversations.open_direct(ada.id, nobody)

    assert himself.value.field == "userId"
    assert Member.objects.filter(user_id=ada.id).count() == 0


def test_opening_direct_chats_is_limited_per_hour(settings: Settings, told: list[Event]) -> None:
    """F241: each is told to its other member, with the name of who opens it, though nothing is said."""
    ada, others = someone(), crowd(3)
    settings.LIMITS = replace(settings.LIMITS, recipients_per_hour=2)
    for _ in range(2):
        for other in others[:2]:
            direct(ada, other)
    told.clear()

    with pytest.raises(RateLimited):
        direct(ada, others[2])

    assert told == []
    assert not Member.objects.filter(user_id=others[2].id).exists()
    assert direct(others[2], ada)


def test_opening_a_chat_does_not_reveal_a_block(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    blocks.block(ada.id, bob.id)
    told.clear()

    opened, made = conversations.open_direct(bob.id, ada.id)

    assert made
    assert opened.member_count == 2
    assert types_told(told) == {(bob.id, "chat.created"): 1}, "who blocks somebody hears nothing of them (F204)"


@pytest.mark.parametrize(
    ("written", "kept"),
    [(" Tea  time ", "Tea time"), ("two\nlines", "two lines"), ("", None), ("\u200b", None), ("\u202egnp.exe", None),
     ("\x07", None), ("a\0b", None), ("x" * 101, None)],
)  # fmt: skip
def test_invisible_conversation_name_is_refused(written: str, kept: str | None) -> None:
    if kept is not None:
        assert conversations.clean_name(written) == kept
        return
    with pytest.raises(InvalidPayload) as fault:
        conversations.create_group(someone().id, written, [])
    assert fault.value.field == "name"


def test_group_creator_is_owner_and_members_are_unique(told: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()

    made = conversations.create_group(ada.id, "  Tea  ", [bob.id, cem.id, bob.id, ada.id])

    assert (made.kind, made.name, made.member_count, made.created_by) == ("group", "Tea", 3, str(ada.id))
    assert [(m.user_id, m.role) for m in made.members] == [
        (str(ada.id), "owner"),
        (str(bob.id), "member"),
        (str(cem.id), "member"),
    ]
    assert types_told(told) == {(person.id, "chat.created"): 1 for person in (ada, bob, cem)}


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "nul\0"])
def test_group_needs_a_name(name: str) -> None:
    ada = someone()

    with pytest.raises(InvalidPayload) as refused:
        conversations.create_group(ada.id, name, [])

    assert refused.value.field == "name"
    assert conversations.create_group(ada.id, "x" * 100, []).name == "x" * 100


def test_group_with_unknown_users_is_refused() -> None:
    ada, bob = someone(), someone()

    with pytest.raises(NotFound):
        conversations.create_group(ada.id, "Tea", [bob.id, 1])

    assert not Conversation.objects.filter(created_by_id=ada.id).exists()


def test_group_creation_refuses_too_many_members(settings: Settings) -> None:
    ada = someone()
    people = [person.id for person in crowd(3)]
    settings.LIMITS = _with(settings, max_group_members=3)

    with pytest.raises(GroupTooLarge):
        conversations.create_group(ada.id, "Tea", people)

    assert conversations.create_group(ada.id, "Tea", people[:2]).member_count == 3


def test_group_creation_is_limited_per_day(settings: Settings) -> None:
    ada, bob = someone(), someone()
    settings.LIMITS = _with(settings, groups_per_day=2)

    for _ in range(2):
        conversations.create_group(ada.id, "Tea", [])
    with pytest.raises(RateLimited) as refused:
        conversations.create_group(ada.id, "Tea", [])

    assert refused.value.retry_after
    assert Conversation.objects.filter(created_by_id=ada.id).count() == 2
    assert conversations.create_group(bob.id, "Tea", []).member_count == 1


def test_conversation_is_visible_to_its_members_only() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = direct(ada, bob)

    assert queries.conversation(bob.viewer, chat).id == str(chat)
    for nobody, nothing in ((eve.viewer, chat), (ada.viewer, 1)):
        with pytest.raises(NotAMember):
            queries.conversation(nobody, ConversationId(nothing))


def test_large_conversation_lists_only_the_viewer_and_admins(settings: Settings) -> None:
    ada, bob = someone(), someone()
    settings.LIMITS = _with(settings, fanout_threshold=5)
    large, small = group(ada, bob, *crowd(3)), group(ada, bob, *crowd(2))

    assert [m.user_id for m in queries.conversation(bob.viewer, large).members] == [str(ada.id), str(bob.id)]
    assert queries.conversation(bob.viewer, large).member_count == 5
    assert len(queries.conversation(bob.viewer, small).members) == 4


def test_conversation_object_has_the_fields_of_the_protocol() -> None:
    """Protocol 3.1 lists the fields."""
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    say(bob, chat, "Hello")

    seen = msgspec.to_builtins(queries.conversation(ada.viewer, chat))

    assert seen.keys() == CONVERSATION
    assert seen["members"][0].keys() == {"n", "userId", "displayName", "role", "joinedSeq", "deliveredSeq", "readSeq"}
    assert (seen["lastMessage"]["content"], seen["unreadCount"], seen["seq"], seen["rev"]) == ("Hello", 1, 1, 2)
    assert seen["createdAt"].endswith("Z") and len(seen["createdAt"]) == len("2026-01-01T00:00:00.000Z")


def _with(settings: Settings, **numbers: int) -> object:
    return replace(settings.LIMITS, **numbers)
