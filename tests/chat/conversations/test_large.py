"""Large conversations: what a message writes, and how processes learn who came and went."""

import pytest
from django.db import connection, transaction

from chat.conversations import members
from chat.messages.feed import audience
from gateway.ids import ConversationId
from tests.factories import Someone, crowd, draft, group, say, someone, store

WRITTEN = """
SELECT regexp_replace(relname, '_p?[0-9]+$', ''), sum(n_tup_ins + n_tup_upd + n_tup_del)
FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 GROUP BY 1
"""
VERSIONS = "SELECT user_id, xmin::text, ctid::text FROM chat_member WHERE conversation_id = %s"


def a_group(size: int) -> tuple[Someone, int]:
    owner = someone()
    return owner, group(owner, *crowd(size - 1))


def written_by_a_message(sender: Someone, chat: int, content: str = "hello") -> dict[str, int]:
    """Return how many rows of each table one message writes."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(WRITTEN)
        before = dict(cursor.fetchall())  # what this session has not yet reported of its earlier transactions
        assert store([draft(sender, ConversationId(chat), content)])[0].outcome == "stored"
        cursor.execute(WRITTEN)
        counts = {table: int(rows - before.get(table, 0)) for table, rows in cursor.fetchall()}
    return {table: rows for table, rows in counts.items() if rows}


def versions(chat: int) -> dict[int, tuple[str, str]]:
    """Return which version of each member's row stands where."""
    with connection.cursor() as cursor:
        cursor.execute(VERSIONS, [chat])
        return {user: (xmin, ctid) for user, xmin, ctid in cursor.fetchall()}


@pytest.mark.parametrize("size", [2, 49, 50, 60])
def test_send_writes_no_row_of_other_members(size: int) -> None:
    """Its own row, the conversation's and the sender's, and one of the outbox: however many members (the issue's item 3)."""
    owner, chat = a_group(size)
    before = versions(chat)

    written = written_by_a_message(owner, chat)

    after = versions(chat)
    assert {user for user in after if after[user] != before[user]} == {owner.id}
    assert written == {"chat_message": 1, "chat_conversation": 1, "chat_member": 1, "chat_outbox": 1}


def test_everyone_mention_writes_no_row_per_member() -> None:
    owner, chat = a_group(60)
    assert sum(written_by_a_message(owner, chat, "@all look").values()) == 4


def test_membership_update_lists_only_changed_members() -> None:
    owner, leaver, newcomer = someone(), someone(), someone()
    chat = group(owner, leaver, *crowd(5))
    whole = audience(chat)
    assert len(whole.members) == 7

    assert list(audience(chat, whole.known).members) == []
    members.add(owner.id, chat, newcomer.id)
    members.remove(owner.id, chat, leaver.id)
    news = audience(chat, whole.known)

    assert news.version > whole.version
    assert [(i.user, i.left is None) for i in news.members] == [(leaver.id, False), (newcomer.id, True)]


def test_rejoined_member_counts_as_present() -> None:
    """The interval that lasts comes last, also where only the earlier end is news."""
    owner, wanderer = someone(), someone()
    chat = group(owner, wanderer, *crowd(5))
    first = audience(chat)
    members.remove(owner.id, chat, wanderer.id)
    gone = audience(chat, first.known)
    members.add(owner.id, chat, wanderer.id)
    back = audience(chat, gone.known)
    say(owner, chat)

    assert [i.left is None for i in gone.members] == [False]
    for known in (first.known, gone.known, back.known):
        found = [i for i in audience(chat, known).members if i.user == wanderer.id]
        assert not found or found[-1].left is None
    assert [i.left is None for i in back.members][-1]


def test_membership_update_includes_members_who_joined_a_quiet_chat() -> None:
    owner, others = someone(), crowd(3)
    chat = group(owner, *crowd(3))
    known = audience(chat).known
    for other in others:
        members.add(owner.id, chat, other.id)
        news = audience(chat, known)
        assert [i.user for i in news.members] == [other.id]
        known = news.known
