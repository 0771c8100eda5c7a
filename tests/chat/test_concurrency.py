"""Several sessions at one conversation: the row lock makes one order, which is the order of the commits."""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Event as Flag
from threading import Thread
from uuid import uuid4

import pytest
from django.db import connection, transaction

from chat.conversations import conversations, members
from chat.drafts import Stored
from chat.models import Conversation, Member, Message
from chat.refusals import NotAMember
from gateway.errors import Forbidden
from gateway.ids import ConversationId
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.chat.sessions import WAIT_SECONDS, at_once, until_somebody_waits
from tests.factories import Someone, direct, draft, group, someone, store

WRITERS = 8
ROUNDS = 15


def test_concurrent_writers_get_consecutive_seqs() -> None:
    people = [someone() for _ in range(WRITERS)]
    chat = group(*people)

    def write(person: Someone) -> list[Stored]:
        return [stored for _ in range(ROUNDS) for stored in store([draft(person, chat), draft(person, chat)])]

    answers = at_once([partial(write, person) for person in people])

    total = WRITERS * ROUNDS * 2
    assert sorted(s.seq for own in answers for s in own) == list(range(1, total + 1))
    assert rows.seqs_and_revs(chat) == [(n, n + 1) for n in range(1, total + 1)]
    assert rows.counters(chat) == (total, total + 1)
    for own in answers:
        assert [s.seq for s in own] == sorted(s.seq for s in own), "a sender's own messages keep their order (K14)"


def test_seq_order_is_commit_order() -> None:
    """While anybody writes, a reader who sees seq n sees all below it, at any moment."""
    people = [someone() for _ in range(4)]
    chat = group(*people)
    done = Flag()
    holes: list[list[int]] = []
    looks = 0

    def watch() -> None:
        nonlocal looks
        while not done.is_set():
            seen = list(Message.objects.filter(conversation_id=chat).order_by("seq").values_list("seq", flat=True))
            looks += 1
            if seen != list(range(1, len(seen) + 1)):
                holes.append(seen)
        connection.close()

    reader = Thread(target=watch)
    reader.start()
    try:
        at_once([partial(write_singly, person, chat, 25) for person in people])
    finally:
        done.set()
        reader.join(WAIT_SECONDS)

    assert looks > 3
    assert holes == []


def write_singly(person: Someone, chat: int, count: int) -> None:
    for _ in range(count):
        store([draft(person, ConversationId(chat))])


def test_concurrent_sends_with_one_id_store_one_message() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    for _ in range(10):
        wanted = draft(ada, chat, client_id=str(uuid4()))
        answers = [answer for (answer,) in at_once([partial(store, [wanted])] * 4)]
        assert sorted(a.outcome for a in answers) == ["duplicate"] * 3 + ["stored"]
        assert len({(a.id, a.seq, a.rev) for a in answers}) == 1

    assert rows.seqs_and_revs(chat) == [(n, n + 1) for n in range(1, 11)]


def test_batches_over_the_same_chats_do_not_deadlock() -> None:
    ada, bob = someone(), someone()
    chats = [group(ada, bob) for _ in range(6)]

    def write(person: Someone, order: Sequence[ConversationId]) -> None:
        for _ in range(20):
            store([draft(person, chat) for chat in order])

    at_once([partial(write, ada, chats), partial(write, bob, chats[::-1])])

    assert [rows.counters(chat) for chat in chats] == [(40, 41)] * 6


def test_removal_ends_concurrent_sends_at_one_seq() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    going = Flag()

    def write() -> list[str]:
        outcomes = []
        for n in range(60):
            outcomes += [stored.outcome for stored in store([draft(bob, chat), draft(ada, chat)])[:1]]
            if n == 10:
                going.set()
        return outcomes

    def remove() -> list[str]:
        assert going.wait(WAIT_SECONDS)
        members.remove(ada.id, chat, bob.id)
        return []

    outcomes = at_once([write, remove])[0]

    stored = outcomes.count("stored")
    assert outcomes == ["stored"] * stored + ["NOT_A_MEMBER"] * (60 - stored)
    left_seq = rows.member(bob, chat).left_seq
    last = (
        Message.objects.filter(conversation_id=chat, sender_id=bob.id).order_by("-seq").values_list("seq", flat=True)[0]
    )
    assert left_seq is not None and last <= left_seq
    count, rev = rows.counters(chat)
    assert rev == count + 2, "made, each message, and the removal: a rev each; the message of the removal is counted"


def test_concurrent_opening_creates_one_direct_chat() -> None:
    for _ in range(10):
        ada, bob = someone(), someone()
        opened = at_once(
            [partial(conversations.open_direct, ada.id, bob.id), partial(conversations.open_direct, bob.id, ada.id)]
        )
        assert opened[0][0].id == opened[1][0].id
        assert sorted(made for _, made in opened) == [False, True]
        assert Member.objects.filter(conversation_id=int(opened[0][0].id)).count() == 2


def test_concurrent_adds_create_one_membership() -> None:
    ada, bob, cem, dan = someone(), someone(), someone(), someone()
    chat = group(ada, bob)
    Member.objects.filter(conversation_id=chat, user_id=bob.id).update(role="admin")

    at_once([partial(members.add, admin.id, chat, new.id) for admin in (ada, bob) for new in (cem, dan)])

    assert Member.objects.filter(conversation_id=chat, left_seq=None).count() == 4
    row = Conversation.objects.get(id=chat)
    assert (row.member_count, row.members_version, row.rev) == (4, 3, 5)
    assert sorted(Member.objects.filter(conversation_id=chat).values_list("n", flat=True)) == [1, 2, 3, 4]


def test_concurrent_leaves_end_the_membership_once() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)

    def leave() -> str:
        try:
            members.remove(bob.id, chat, bob.id)
        except Exception as refusal:
            return type(refusal).__name__
        return "left"

    outcomes = at_once([leave] * 3)

    assert outcomes.count("left") == 1
    assert set(outcomes) - {"left"} <= {"NotFound", "NotAMember"}
    row = Conversation.objects.get(id=chat)
    assert (row.member_count, row.members_version) == (1, 2)


@pytest.mark.parametrize("act", [members.add, members.remove])
def test_removed_admin_cannot_change_settings(act: Callable[[int, int, int], None]) -> None:
    """The right is asked under the lock: who waits for it while being removed has lost it (style 13, F63)."""
    ada, bob, cem, dan = someone(), someone(), someone(), someone()
    chat = group(ada, bob, cem)
    Member.objects.filter(conversation_id=chat, user_id=bob.id).update(role="admin")
    other = dan if act is members.add else cem
    refused: list[str] = []

    def use_the_right() -> None:
        try:
            act(bob.id, chat, other.id)
        except (NotAMember, Forbidden) as refusal:
            refused.append(refusal.code)
        finally:
            connection.close()

    thread = Thread(target=use_the_right)
    with transaction.atomic():
        members.remove(ada.id, chat, bob.id)
        thread.start()
        until_somebody_waits()
    thread.join(WAIT_SECONDS)

    assert refused == ["NOT_A_MEMBER"]


def test_reads_do_not_wait_for_locked_rows() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    with transaction.atomic():
        store([draft(ada, chat)])
        (seen,) = at_once([lambda: list(Message.objects.filter(conversation_id=chat).values_list("seq", flat=True))])

    assert seen == []


def test_concurrent_sends_marks_and_membership_changes_do_not_deadlock() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chats = [group(ada, bob) for _ in range(3)]

    def write(person: Someone, order: Sequence[ConversationId]) -> None:
        for _ in range(25):
            store([draft(person, chat) for chat in order])

    def mark(person: Someone, order: Sequence[ConversationId]) -> None:
        for seq in range(25):
            record_marks([Mark(person.id, chat, seq, seq) for chat in order])

    def come_and_go() -> None:
        for chat in chats * 4:
            members.add(ada.id, chat, cem.id)
            members.remove(ada.id, chat, cem.id)

    jobs: list[Callable[[], None]] = [
        partial(write, ada, chats),
        partial(write, bob, chats[::-1]),
        partial(mark, ada, chats[::-1]),
        partial(mark, bob, chats),
        come_and_go,
    ]
    before = deadlocks()
    at_once(jobs)

    assert deadlocks() == before
    for chat in chats:
        assert [seq for seq, _ in rows.seqs_and_revs(chat)] == list(range(1, 59))
        assert rows.counters(chat) == (58, 1 + 58 + 8), "each coming and going is a rev, and a message"
        row = Conversation.objects.get(id=chat)
        assert (row.member_count, row.members_version) == (2, 9)


def deadlocks() -> int:
    """Return how many deadlocks this database has had."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
