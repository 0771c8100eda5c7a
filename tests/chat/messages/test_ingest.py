"""The storing statement, called with batches: what it numbers, what it refuses, what it writes besides."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts import blocks
from chat.conversations import members, queries
from chat.messages import deletions, history
from chat.models import Message
from chat.refusals import NotAMember
from gateway.errors import Refused
from gateway.ids import ConversationId
from receipts.mark_writer import submit_mark
from receipts.marks import Mark
from tests.chat import rows
from tests.chat.sessions import at_once
from tests.chat.uploads import ready
from tests.factories import Someone, direct, draft, group, say, say_many, someone, store


def test_batch_gets_consecutive_seqs_in_its_order() -> None:
    ada, bob = someone(), someone()
    one, two = direct(ada, bob), group(ada, bob)

    stored = store(
        [draft(ada, one, "1"), draft(bob, two, "2"), draft(bob, one, "3"), draft(ada, two, "4"), draft(ada, one, "5")]
    )

    assert [(s.seq, s.rev) for s in stored] == [(1, 2), (1, 2), (2, 3), (2, 3), (3, 4)]
    assert rows.seqs_and_revs(one) == [(1, 2), (2, 3), (3, 4)]
    assert (rows.counters(one), rows.counters(two)) == ((3, 4), (2, 3))
    assert stored[0].id < stored[2].id < stored[4].id, "within a chat, ids follow seq (F10)"


def test_refused_message_leaves_no_seq_gap() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = direct(ada, bob)

    stored = store([draft(ada, chat), draft(eve, chat), draft(ada, chat, last_seen_seq=7), draft(bob, chat)])

    assert [s.outcome for s in stored] == ["stored", "NOT_A_MEMBER", "CLOCK_AHEAD", "stored"]
    assert rows.seqs_and_revs(chat) == [(1, 2), (2, 3)]


def test_late_repetition_returns_the_first_answer() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    first = draft(ada, chat, "first")
    (original,) = store([first])
    say_many(bob, chat, 3)
    Message.objects.filter(id=original.id).update(created_at=original.created_at - timedelta(days=400))

    (again,) = store([first._replace(content="another text")])

    assert again.duplicate
    assert (again.id, again.seq, again.rev) == (original.id, original.seq, original.rev)
    assert rows.counters(chat) == (4, 5)
    assert Message.objects.get(id=original.id).content == "first"


def test_client_id_is_scoped_to_sender_and_chat() -> None:
    ada, bob = someone(), someone()
    chat, other = direct(ada, bob), group(ada, bob)
    client_id = str(uuid4())

    stored = store([draft(person, place, client_id=client_id) for person in (ada, bob) for place in (chat, other)])

    assert [s.outcome for s in stored] == ["stored"] * 4


def test_former_member_cannot_send_but_gets_earlier_answers() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    sent = draft(bob, chat)
    store([sent])
    members.remove(bob.id, chat, bob.id)

    again, later = store([sent, draft(bob, chat)])

    assert (again.outcome, later.outcome) == ("duplicate", "NOT_A_MEMBER")


def test_repeated_reply_counts_once_in_its_thread() -> None:
    """A file of the first time is taken, and who has left is no member: only then is a repetition looked for."""
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    root = say(ada, chat)
    sent = [
        draft(bob, chat, reply_to=str(root.id), attachments=[str(ready(bob).id)]),
        draft(bob, chat, reply_to=str(root.id)),
    ]
    store(sent)

    with_file = store(sent[:1])
    members.remove(ada.id, chat, bob.id)
    after_leaving = store(sent[1:])

    assert [s.outcome for s in with_file + after_leaving] == ["duplicate", "duplicate"]
    assert Message.objects.get(id=root.id).replies == 2


def test_attachment_id_in_another_users_message_is_refused() -> None:
    ada, bob = someone(), someone()
    chat, file = direct(ada, bob), str(ready(ada).id)

    stored = store([draft(bob, chat, attachments=[file]), draft(ada, chat, attachments=[file])])

    assert [s.outcome for s in stored] == ["ATTACHMENT_REJECTED", "stored"]


def test_unknown_and_foreign_objects_get_the_same_refusal() -> None:
    ada, bob, eve = someone(), someone(), someone()

    nowhere, not_hers = store([draft(eve, ConversationId(1)), draft(eve, direct(ada, bob))])

    assert nowhere.outcome == not_hers.outcome == "NOT_A_MEMBER"


def test_only_admins_write_in_a_broadcast() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    rows.change(chat, {"kind": "broadcast"})

    stored = store([draft(bob, chat), draft(ada, chat)])

    assert [s.outcome for s in stored] == ["READ_ONLY", "stored"]
    assert stored[1].seq == 1


def test_last_seen_seq_above_the_last_seq_is_refused() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(bob, chat)

    stored = store(
        [draft(ada, chat, last_seen_seq=1), draft(ada, chat, last_seen_seq=4), draft(ada, chat, last_seen_seq=0)]
    )

    assert [s.outcome for s in stored] == ["stored", "CLOCK_AHEAD", "stored"]
    kept = Message.objects.filter(conversation_id=chat).order_by("seq").values_list("last_seen_seq", flat=True)
    assert list(kept) == [None, 1, 0]


def test_reply_must_quote_a_message_of_the_same_chat() -> None:
    ada, bob = someone("Ada"), someone()
    chat, elsewhere = direct(ada, bob), group(ada, bob)
    quoted = say(ada, chat, "x" * 150)

    good, foreign, unknown = store(
        [
            draft(bob, chat, reply_to=str(quoted.id)),
            draft(bob, elsewhere, reply_to=str(quoted.id)),
            draft(bob, chat, reply_to="1"),
        ]
    )

    assert (good.outcome, good.reply_sender, good.reply_excerpt) == ("stored", "Ada", "x" * 100)
    assert (foreign.outcome, unknown.outcome) == ("NOT_FOUND", "NOT_FOUND")


def test_message_of_blocked_sender_is_acked_and_stored_as_hidden() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    before = say(bob, chat)
    blocks.block(ada.id, bob.id)

    (hidden,) = store([draft(bob, chat)])
    (own,) = store([draft(ada, chat)])

    assert (before.hidden, hidden.hidden, own.hidden) == (False, True, False)
    assert (hidden.outcome, hidden.seq, own.seq) == ("stored", 2, 3)
    assert hidden.blockers == [ada.id]


def test_reply_to_a_hidden_message_is_refused_to_all_but_its_sender() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(ada.id, bob.id)
    (hidden,) = store([draft(bob, chat)])

    hers, his = store([draft(ada, chat, reply_to=str(hidden.id)), draft(bob, chat, reply_to=str(hidden.id))])

    assert (hers.outcome, his.outcome) == ("NOT_FOUND", "stored")


def test_block_in_a_group_hides_messages_from_the_blocker_only() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    blocks.block(ada.id, bob.id)

    (stored,) = store([draft(bob, chat)])

    assert not stored.hidden
    assert stored.blockers == [ada.id]


def test_block_and_unblock_apply_from_the_next_message() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    outcomes = []
    for change in (blocks.block, blocks.unblock):
        change(ada.id, bob.id)
        outcomes.append(store([draft(bob, chat)])[0].hidden)

    assert outcomes == [True, False]


def test_each_chat_of_a_batch_leaves_one_outbox_row() -> None:
    ada, bob = someone(), someone()
    one, two, none = direct(ada, bob), group(ada, bob), group(ada)

    store([draft(ada, one), draft(bob, one), draft(ada, two), draft(bob, none)])

    assert rows.outbox_of(one) == [("messages.stored", 1, 2)]
    assert rows.outbox_of(two) == [("messages.stored", 1, 1)]
    assert rows.outbox_of(none) == []


def standing(person: Someone, chat: int) -> tuple[int, int, int]:
    row = rows.member(person, ConversationId(chat))
    return row.read_seq, row.delivered_seq, row.own_above


def test_sending_advances_the_senders_marks_over_own_messages_only() -> None:
    """Decision 0011: who writes has not read what others wrote meanwhile, and nobody is told so."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    say_many(ada, chat, 3)
    assert standing(ada, chat) == (3, 3, 0)
    assert standing(bob, chat) == (0, 0, 0)

    store([draft(bob, chat), draft(ada, chat), draft(bob, chat)])
    assert standing(bob, chat) == (0, 0, 2), "three of Ada's stand below them"
    assert standing(ada, chat) == (3, 3, 1), "one of Bob's stands below it"

    submit_mark(Mark(bob.id, chat, 3, 3))
    say(bob, chat)
    assert standing(bob, chat) == (3, 3, 3), "Ada's second one is unread yet"
    submit_mark(Mark(bob.id, chat, 5, 5))
    assert standing(bob, chat) == (5, 5, 2)
    submit_mark(Mark(bob.id, chat, 7, 7))
    say(bob, chat)
    assert standing(bob, chat) == (8, 8, 0)


def test_reply_does_not_mark_earlier_messages_as_read() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 3)
    answers = say_many(bob, chat, 2)
    say(ada, chat)

    assert queries.unread(bob.id) == {str(chat): 4}
    deletions.delete(bob.id, answers[0].id)
    deletions.hide(bob.id, answers[1].id)
    assert queries.unread(bob.id) == {str(chat): 4}, "own messages count once, whatever becomes of them"
    assert history.page(ada.viewer, chat, limit=10)[0].messages[0].state == "sent"


def test_concurrent_marks_and_sends_leave_exact_counts() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    def talk(who: Someone) -> None:
        for _ in range(15):
            say(who, chat)

    def read() -> None:
        for seq in range(1, 31):
            submit_mark(Mark(bob.id, chat, seq, seq))

    jobs: list[Callable[[], None]] = [partial(talk, ada), partial(talk, bob), read]
    at_once(jobs)

    row = rows.member(bob, chat)
    above = Message.objects.filter(conversation_id=chat, seq__gt=row.read_seq)
    assert row.own_above == above.filter(sender_id=bob.id).count()
    assert queries.unread(bob.id).get(str(chat), 0) == above.filter(sender_id=ada.id).count()


def test_message_chat_and_outbox_row_commit_atomically() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        say(ada, chat)
        raise ZeroDivisionError

    assert (rows.seqs_and_revs(chat), rows.outbox_of(chat)) == ([], [])
    assert rows.counters(chat) == (0, 1)


def test_store_in_a_task_raises_the_refusal() -> None:
    ada, bob, eve = someone(), someone(), someone()

    with pytest.raises(NotAMember) as refused:
        say(eve, direct(ada, bob))

    assert isinstance(refused.value, Refused)
    assert (refused.value.code, refused.value.status) == ("NOT_A_MEMBER", 403)


def test_group_message_is_one_row_and_costs_the_same_for_2_and_for_200_members(many: list[Someone]) -> None:
    ada = someone()
    small, large = group(ada, someone()), group(ada, *many)
    counts: list[int] = []

    for chat in (small, large):
        with CaptureQueriesContext(connection) as asked:
            say(ada, chat)
        counts.append(len(asked))
        assert Message.objects.filter(conversation_id=chat).count() == 1

    assert counts[0] == counts[1] <= 4
