"""The conversation list: its order, its snippets, and unread counts that are exact (F33, K34)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import blocks
from chat.conversations import members, queries
from chat.sync import sync
from gateway.ids import ConversationId
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.factories import Someone, direct, group, say, say_many, someone


def listed(person: Someone) -> list[int]:
    return [int(c.id) for c in queries.conversation_list(person.viewer).conversations]


def unread_of(person: Someone, chat: int) -> int:
    """Return the unread count; the list, the single conversation, the totals and the sync agree on it, or it fails."""
    single = queries.conversation(person.viewer, ConversationId(chat)).unread_count
    in_list = {int(c.id): c.unread_count for c in queries.conversation_list(person.viewer).conversations}
    total = queries.unread(person.id).get(str(chat), 0)
    badge = sync.changes(person.viewer, {}, only=chat).badges.get(str(chat), 0)
    assert {single, in_list.get(chat, single), total, badge} == {single}
    return single


def test_list_is_ordered_by_the_latest_message_with_its_snippet() -> None:
    ada, bob, cem = someone(), someone("Bob"), someone()
    one, two, three = direct(ada, bob), group(ada, cem), direct(ada, cem)
    for chat, who in ((three, cem), (one, bob), (two, cem), (one, bob)):
        say(who, chat, f"in {chat}")

    found = queries.conversation_list(ada.viewer).conversations

    assert [int(c.id) for c in found] == [one, two, three]
    assert [c.last_message.content for c in found if c.last_message] == [f"in {chat}" for chat in (one, two, three)]
    assert [c.unread_count for c in found] == [2, 1, 1]
    assert found[0].last_message and found[0].last_message.sender.display_name == "Bob"


def test_empty_chat_is_ordered_by_its_creation_time() -> None:
    ada, bob = someone(), someone()
    old = group(ada, bob)
    new = direct(ada, bob)

    assert listed(ada) == [new, old]
    assert queries.conversation(ada.viewer, new).last_message is None


def test_conversation_pages_list_each_chat_once() -> None:
    ada = someone()
    chats = [group(ada) for _ in range(7)]
    for chat in chats:
        say(ada, chat)
    seen: list[int] = []
    after, pages = None, 0

    while True:
        page = queries.conversation_list(ada.viewer, after=after, limit=3)
        seen += [int(c.id) for c in page.conversations]
        pages += 1
        if page.next is None:
            break
        after = page.next

    assert seen == chats[::-1]
    assert pages == 3


def test_chat_that_moves_up_between_pages_hides_no_other_chat() -> None:
    ada = someone()
    chats = [group(ada) for _ in range(4)]
    first = queries.conversation_list(ada.viewer, limit=2)
    say(ada, chats[0])

    second = queries.conversation_list(ada.viewer, after=first.next, limit=2)

    assert [int(c.id) for c in second.conversations] == [chats[1]]
    assert listed(ada)[0] == chats[0]


def test_unread_counts_messages_of_others_since_the_mark() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    counts = []

    say_many(bob, chat, 3)
    counts.append(unread_of(ada, chat))
    record_marks([Mark(ada.id, chat, 0, 2)])
    counts.append(unread_of(ada, chat))
    say(ada, chat)
    counts.append(unread_of(ada, chat))
    say_many(bob, chat, 2)
    counts.append(unread_of(ada, chat))
    record_marks([Mark(ada.id, chat, 0, 5)])
    counts.append(unread_of(ada, chat))

    assert counts == [3, 1, 1, 3, 1]
    assert unread_of(bob, chat) == 1


def test_blocked_messages_are_not_counted_as_unread() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(bob, chat, 2)
    blocks.block(ada.id, bob.id)
    say_many(bob, chat, 3)
    blocks.unblock(ada.id, bob.id)
    say(bob, chat)

    assert unread_of(ada, chat) == 3
    record_marks([Mark(ada.id, chat, 0, 6)])
    assert unread_of(ada, chat) == 0


def test_group_messages_of_a_blocked_user_are_neither_counted_nor_a_snippet() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say(cem, chat, "from cem")
    say_many(bob, chat, 4)
    blocks.block(ada.id, bob.id)

    assert unread_of(ada, chat) == 1
    last = queries.conversation(ada.viewer, chat).last_message
    assert last is not None and last.content == "from cem"
    assert unread_of(cem, chat) == 4


def test_direct_chat_with_a_blocked_user_is_hidden_until_unblocked() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(bob, chat)

    blocks.block(ada.id, bob.id)
    assert listed(ada) == []
    assert listed(bob) == [chat], "a block is not told (F230)"
    assert queries.unread(ada.id) == {}, "what is not listed cannot be read, so it is not counted"
    assert queries.conversation(ada.viewer, chat).blocked, "who asks for it by its id is told why no list has it"
    assert not queries.conversation(bob.viewer, chat).blocked

    blocks.unblock(ada.id, bob.id)
    assert listed(ada) == [chat]
    assert unread_of(ada, chat) == 1


def test_unread_count_of_a_new_member_starts_at_joining() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada)
    say_many(ada, chat, 5)
    members.add(ada.id, chat, bob.id)
    rows.change(chat, {"shares_history": False})
    members.add(ada.id, chat, cem.id)
    say(ada, chat)

    assert (unread_of(bob, chat), unread_of(cem, chat)) == (1, 1)


def test_chat_is_not_listed_after_leaving() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    say(ada, chat)
    members.remove(bob.id, chat, bob.id)

    assert listed(bob) == []
    assert queries.unread(bob.id) == {}


@pytest.mark.parametrize("count", [1, 10])
def test_list_query_count_is_constant(count: int, many: list[Someone]) -> None:
    ada = someone()
    others = many if count == 1 else [someone()]
    for _ in range(count):
        say(ada, group(ada, *others))

    with CaptureQueriesContext(connection) as asked:
        page = queries.conversation_list(ada.viewer)

    assert len(page.conversations) == count
    assert len(asked) == 3
