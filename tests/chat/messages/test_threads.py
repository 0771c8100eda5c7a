"""Threads: the replies of one root as a list, with unread counts of its own (F20)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import blocks
from chat.conversations import members, queries
from chat.ids import MessageId
from chat.messages import deletions, history, threads
from chat.refusals import NotAMember
from gateway.errors import NotFound
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, draft, group, say, someone, store


def reply(person: Someone, chat: int, to: int, content: str = "reply") -> int:
    """Reply to a message and return the reply's id."""
    return store([draft(person, ConversationId(chat), content, reply_to=str(to))])[0].id


def said(viewer: Someone, root: int) -> tuple[list[str], int]:
    """Return a thread's words and unread count as a viewer reads them."""
    page = threads.replies(viewer.viewer, MessageId(root), limit=100)
    return [m.content for m in page.messages], page.unread


def test_thread_contains_nested_replies() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = group(ada, bob)
    root, other = say(ada, chat).id, say(ada, chat).id
    first = reply(bob, chat, root, "1")
    say(bob, chat, "no reply")
    reply(ada, chat, first, "2")
    reply(bob, chat, other, "elsewhere")

    assert said(ada, root)[0] == ["1", "2"]
    assert history.message_by_id(ada.viewer, root).reply_count == 2
    assert history.message_by_id(ada.viewer, MessageId(first)).thread_id == str(root)
    page = threads.replies(ada.viewer, root, limit=1)
    rest = threads.replies(ada.viewer, root, after=page.next or 0, limit=1)
    assert [m.content for m in page.messages + rest.messages] == ["1", "2"]
    assert rest.next is None
    with pytest.raises(NotFound):
        threads.replies(eve.viewer, root, limit=10)


def test_thread_has_its_own_unread_count_and_mark() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    root = say(ada, chat).id
    first, second, own, gone = (reply(who, chat, root) for who in (bob, bob, ada, bob))
    deletions.delete(bob.id, MessageId(gone))
    unread = queries.conversation(ada.viewer, chat).unread_count
    assert (said(ada, root)[1], said(bob, root)[1]) == (2, 1)

    seqs = {id_: history.message_by_id(ada.viewer, MessageId(id_)).seq for id_ in (first, second, own)}
    threads.read(ada.id, root, seqs[first])
    assert said(ada, root)[1] == 1
    threads.read(ada.id, root, 1)
    assert said(ada, root)[1] == 1, "a mark never moves back"
    threads.read(ada.id, root, 10**9)
    assert said(ada, root)[1] == 0
    reply(bob, chat, root)

    assert said(ada, root)[1] == 1, "a mark above the last message counts as the last"
    assert queries.conversation(ada.viewer, chat).unread_count == unread + 1
    assert said(bob, root)[1] == 1, "everybody has a mark of their own"


def test_new_member_has_no_unread_history_and_former_member_cannot_mark() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob)
    root = say(ada, chat).id
    reply(bob, chat, root, "early")
    members.add(ada.id, chat, cem.id)
    assert said(cem, root) == (["early"], 0)
    reply(bob, chat, root, "late")
    assert said(cem, root) == (["early", "late"], 1)
    members.remove(ada.id, chat, bob.id)

    with pytest.raises(NotAMember):
        said(bob, root)
    with pytest.raises(NotAMember):
        threads.read(bob.id, root, 1)
    with pytest.raises(NotFound):
        threads.read(someone().id, root, 1)


def test_invisible_messages_are_neither_listed_nor_counted() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    root = say(ada, chat).id
    reply(bob, chat, root, "blocked")
    hidden = reply(cem, chat, root, "hidden")
    reply(cem, chat, root, "seen")
    blocks.block(ada.id, bob.id)
    deletions.hide(ada.id, MessageId(hidden))

    assert said(ada, root) == (["seen"], 1)
    assert said(cem, root)[0] == ["blocked", "hidden", "seen"]


def test_threads_are_listed_by_their_latest_reply() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = group(ada, bob)
    roots = [say(ada, chat, str(n)).id for n in range(3)]
    for root in (0, 1, 2, 0):
        reply(bob, chat, roots[root])

    page = threads.threads(ada.id, chat, limit=2)
    rest = threads.threads(ada.id, chat, before=page.next, limit=2)

    assert [(t.id, t.unread) for t in page.threads] == [(roots[0], 2), (roots[2], 1)]
    assert [(t.id, t.unread) for t in rest.threads] == [(roots[1], 1)]
    assert rest.next is None
    assert page.threads[0].root is not None and page.threads[0].root.content == "0"
    assert page.threads[0].last_seq == 7
    assert threads.threads(ada.id, group(ada), limit=5).threads == []
    with pytest.raises(NotAMember):
        threads.threads(eve.id, chat, limit=5)


def test_thread_hides_a_root_that_its_reader_may_not_see() -> None:
    ada, bob = someone(), someone()
    chat = group(ada)
    rows.change(chat, {"shares_history": False})
    root = say(ada, chat).id
    members.add(ada.id, chat, bob.id)
    reply(ada, chat, root)

    (thread,) = threads.threads(bob.id, chat, limit=5).threads

    assert (thread.id, thread.root, thread.unread) == (root, None, 1)


def test_threads_query_count_is_constant(many: list[Someone]) -> None:
    counts = []
    for others, number in (([someone()], 1), (many, 30)):
        ada = someone()
        chat = group(ada, *others)
        for _ in range(number):
            reply(ada, chat, say(ada, chat).id)
        with CaptureQueriesContext(connection) as executed:
            assert len(threads.threads(ada.id, chat, limit=50).threads) == number
        counts.append(len(executed))

    assert counts == [4, 4]
