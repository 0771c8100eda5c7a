"""Pages of history: their edges, their order, and who may see what."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from msgspec import UNSET
from pytest_django.fixtures import Settings

from accounts import blocks, privacy
from chat.conversations import members
from chat.ids import MessageId
from chat.messages import feed, history, ingest, polls, reactions, threads
from chat.models import Message
from chat.refusals import NotAMember
from gateway.bus import Event
from gateway.errors import NotFound
from gateway.ids import ConversationId
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.factories import Someone, crowd, direct, draft, group, say, say_many, someone, store


def paged(person: Someone, chat: int, **edges: int) -> tuple[list[int], bool, int | None]:
    page, _ = history.page(person.viewer, ConversationId(chat), limit=edges.pop("limit", 3), **edges)
    return [m.seq for m in page.messages], page.has_more, page.next_seq


def seen_by(person: Someone, chat: int) -> list[int]:
    return paged(person, chat, limit=100)[0]


def state_of(person: Someone, chat: int, seq: int) -> str:
    page, _ = history.page(person.viewer, ConversationId(chat), limit=100)
    (state,) = [m.state for m in page.messages if m.seq == seq]
    return "not told" if state is UNSET else str(state)


def test_history_page_is_in_seq_order_with_a_cursor() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 7)

    assert paged(bob, chat) == ([5, 6, 7], True, 5)
    assert paged(bob, chat, before=5) == ([2, 3, 4], True, 2)
    assert paged(bob, chat, before=2) == ([1], False, None)
    assert paged(bob, chat, after=0) == ([1, 2, 3], True, 3)
    assert paged(bob, chat, after=4) == ([5, 6, 7], False, None)
    assert paged(bob, chat, after=7) == ([], False, None)
    assert paged(bob, chat, before=1) == ([], False, None)
    assert paged(bob, chat, around=4, limit=3) == ([3, 4, 5], True, 3)
    assert paged(bob, chat, around=7, limit=3) == ([5, 6, 7], True, 5)


def test_history_pages_list_each_message_once_in_both_directions() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 25)
    down, up = [], []

    seqs, more, edge = paged(bob, chat, limit=4)
    down.append(seqs)
    while more:
        assert edge is not None
        seqs, more, edge = paged(bob, chat, limit=4, before=edge)
        down.append(seqs)
    more, edge = True, 0
    while more:
        assert edge is not None
        seqs, more, edge = paged(bob, chat, limit=4, after=edge)
        up.append(seqs)

    assert [seq for page in down[::-1] for seq in page] == [seq for page in up for seq in page] == list(range(1, 26))


def test_history_page_skips_hidden_messages_and_is_full() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    for n in range(10):
        say(bob if n % 2 else cem, chat, str(n))
    blocks.block(ada.id, bob.id)

    assert paged(ada, chat) == ([5, 7, 9], True, 5)
    assert paged(cem, chat) == ([8, 9, 10], True, 8)
    assert seen_by(bob, chat) == list(range(1, 11))

    blocks.unblock(ada.id, bob.id)
    assert paged(ada, chat) == ([8, 9, 10], True, 8)


def test_blocked_message_stays_hidden_from_the_blocker_only() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(bob, chat, "before")
    blocks.block(ada.id, bob.id)
    hidden = say(bob, chat, "during")
    blocks.unblock(ada.id, bob.id)
    say(bob, chat, "after")

    assert seen_by(ada, chat) == [1, 3]
    assert seen_by(bob, chat) == [1, 2, 3]
    assert history.message_by_id(bob.viewer, hidden.id).content == "during"
    with pytest.raises(NotFound):
        history.message_by_id(ada.viewer, hidden.id)


def test_history_needs_membership_and_a_message_its_receiver() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)

    assert history.message_by_id(bob.viewer, message.id).seq == 1
    with pytest.raises(NotAMember):
        history.page(eve.viewer, chat, limit=3)
    for viewer, wanted in ((eve.viewer, message.id), (bob.viewer, 1)):
        with pytest.raises(NotFound):
            history.message_by_id(viewer, MessageId(wanted))


def test_seq_lookup_is_limited_to_its_chat() -> None:
    ada, bob = someone(), someone()
    chat, other = direct(ada, bob), group(ada, bob)
    message = say(ada, chat)

    assert history.seq_of(bob.id, chat, message.id) == 1
    with pytest.raises(NotFound):
        history.seq_of(bob.id, other, message.id)


def test_quote_shows_its_author_and_hides_invisible_text() -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    quoted = say(ada, chat, "x" * 200)
    say_in_reply = store([draft(bob, chat, reply_to=str(quoted.id))])[0]

    quote = history.message_by_id(ada.viewer, say_in_reply.id).reply_to
    assert quote is not None
    assert (quote.id, quote.sender_name, quote.excerpt) == (str(quoted.id), "Ada", "x" * 100)


def test_quote_hides_text_of_a_blocked_author() -> None:
    ada, bob, cem = someone(), someone("Bob"), someone()
    chat = group(ada, bob, cem)
    blocks.block(ada.id, bob.id)
    quoted = say(bob, chat, "you should not read this")
    reply = store([draft(cem, chat, reply_to=str(quoted.id))])[0]

    seen = history.message_by_id(ada.viewer, reply.id).reply_to
    others = history.message_by_id(bob.viewer, reply.id).reply_to

    assert others is not None and others.excerpt == "you should not read this"
    assert seen is None or seen.excerpt == ""


def test_quote_hides_text_from_before_joining() -> None:
    ada, bob = someone(), someone()
    chat = group(ada)
    rows.change(chat, {"shares_history": False})
    quoted = say(ada, chat, "before your time")
    members.add(ada.id, chat, bob.id)
    reply = store([draft(ada, chat, reply_to=str(quoted.id))])[0]

    seen = history.message_by_id(bob.viewer, reply.id).reply_to

    assert seen is None or seen.excerpt == ""
    assert store([draft(bob, chat, reply_to=str(quoted.id))])[0].outcome == "NOT_FOUND"


def hides_by_a_block_that_has_ended() -> tuple[Someone, int, int]:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(ada.id, bob.id)
    quoted = say(bob, chat, "secret")
    blocks.unblock(ada.id, bob.id)
    return bob, chat, quoted.id


def lies_before_somebodys_time() -> tuple[Someone, int, int]:
    ada, bob = someone(), someone()
    chat = group(ada)
    rows.change(chat, {"shares_history": False})
    quoted = say(ada, chat, "secret")
    members.add(ada.id, chat, bob.id)
    return ada, chat, quoted.id


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (hides_by_a_block_that_has_ended, None),
        (lies_before_somebodys_time, ""),
    ],
)
def test_live_quote_hides_text_that_its_reader_may_not_see(
    told: list[Event], made: Callable[[], tuple[Someone, int, int]], shown: str | None
) -> None:
    """The frame is one for all; told at once, or read back later for who missed it."""
    sender, chat, quoted = made()
    told.clear()

    reply = ingest.store_within(draft(sender, ConversationId(chat), reply_to=str(quoted)))

    (live,) = told
    (later,) = feed.by_seq(ConversationId(chat), reply.seq, reply.seq)
    own = history.message_by_id(sender.viewer, reply.id).reply_to
    for event in (live, later):
        quote = msgspec.json.decode(event.frame)["payload"]["message"]["replyTo"]
        assert (quote and quote["excerpt"]) == shown
    assert own is not None and own.excerpt == "secret"


def test_only_the_sender_sees_the_message_state() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    states = [state_of(ada, chat, 1)]
    for mark in (Mark(bob.id, chat, 1, 0), Mark(bob.id, chat, 0, 1)):
        record_marks([mark])
        states.append(state_of(ada, chat, 1))

    assert states == ["sent", "delivered", "seen"]
    assert state_of(bob, chat, 1) == "not told"


def test_single_message_and_page_show_the_same_state() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    message = say(ada, chat)
    record_marks([Mark(bob.id, chat, 0, 1)])

    assert history.message_by_id(ada.viewer, message.id).state == state_of(ada, chat, 1) == "seen"


def test_group_message_is_seen_once_all_members_have_seen_it() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say(ada, chat)

    states = []
    for person, mark in ((bob, (1, 1)), (cem, (1, 0)), (cem, (0, 1))):
        record_marks([Mark(person.id, chat, *mark)])
        states.append(state_of(ada, chat, 1))

    assert states == ["sent", "delivered", "seen"]


def test_admins_of_a_large_group_do_not_determine_its_ticks(settings: Settings) -> None:
    ada, bob = someone(), someone()
    settings.LIMITS = replace(settings.LIMITS, fanout_threshold=5)
    chat = group(ada, bob, *crowd(3))
    say(bob, chat)

    record_marks([Mark(ada.id, chat, 1, 1)])

    assert state_of(bob, chat, 1) == "sent", "three members have nothing yet"


@pytest.mark.parametrize(("who", "setting"), [("bob", "send_read_receipts"), ("ada", "show_read_receipts")])
def test_read_receipt_privacy_keeps_delivered_state(who: str, setting: str) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)
    record_marks([Mark(bob.id, chat, 0, 1)])

    private = {"ada": ada, "bob": bob}[who].id
    privacy.change(private, settings={setting: False})
    hidden = state_of(ada, chat, 1)
    privacy.change(private, settings={setting: True})

    assert (hidden, state_of(ada, chat, 1)) == ("delivered", "seen")


def test_message_of_blocked_sender_stays_in_state_sent() -> None:
    """F205: you see "sent", they never see it."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(ada.id, bob.id)
    say(bob, chat)
    say(ada, chat)
    record_marks([Mark(ada.id, chat, 2, 2)])

    assert state_of(bob, chat, 1) == "sent"


def test_message_object_has_the_fields_of_the_protocol() -> None:
    ada, bob = someone("Ada"), someone()
    chat = direct(ada, bob)
    stored = store([draft(ada, chat, "Hi", mentions=[str(bob.id)], priority="urgent", last_seen_seq=0)])[0]

    message = history.message_by_id(bob.viewer, stored.id)

    assert (message.id, message.chat_id, message.seq, message.rev, message.version) == (
        str(stored.id),
        str(chat),
        1,
        2,
        1,
    )
    assert (message.sender.id, message.sender.display_name) == (str(ada.id), "Ada")
    assert (message.content, message.content_type, message.priority, message.status) == (
        "Hi",
        "text",
        "urgent",
        "active",
    )
    assert (message.mentions, message.attachments, message.reactions, message.reply_to) == ([str(bob.id)], [], [], None)
    assert (message.edited_at, message.last_seen_seq, message.expires_at) == (None, 0, None)


@contextmanager
def queries_of() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as asked:
        yield asked


def test_history_page_query_count_is_constant(many: list[Someone]) -> None:
    ada = someone()
    small, large = group(ada, someone()), group(ada, *many)
    say_many(ada, small, 1)
    say_many(ada, large, 120)
    assert Message.objects.filter(conversation_id=large).count() == 120

    counts = []
    for chat in (small, large):
        with queries_of() as asked:
            history.page(ada.viewer, chat, limit=100)
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 3


def test_former_member_reads_old_messages_without_reactions_and_replies() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    theirs, own = say(ada, chat, "old words"), say(bob, chat)
    options = {"question": "?", "options": ["a", "b"]}
    kept, voted = store([draft(ada, chat, "", content_type="poll", data=options) for _ in range(2)])
    members.remove(bob.id, chat, bob.id)
    reactions.add(ada.id, theirs.id, "👍")
    store([draft(ada, chat, "a reply", reply_to=str(theirs.id))])
    polls.vote(ada.id, voted.id, [0])
    record_marks([Mark(ada.id, chat, 0, 5)])

    seen = history.message_by_id(bob.viewer, theirs.id)
    assert (seen.content, seen.reactions, seen.reply_count, seen.last_reply_seq) == ("old words", [], UNSET, UNSET)
    assert history.message_by_id(bob.viewer, own.id).state == "sent"
    assert history.message_by_id(bob.viewer, kept.id).content_type == "poll"
    with pytest.raises(NotFound):
        history.message_by_id(bob.viewer, voted.id)
    with pytest.raises(NotAMember):
        reactions.people(bob.id, theirs.id, limit=10)
    with pytest.raises(NotAMember):
        threads.replies(bob.viewer, theirs.id, limit=10)
    with pytest.raises(NotAMember):
        polls.ballots(bob.id, kept.id, limit=10)

    members.add(ada.id, chat, bob.id)
    back = history.message_by_id(bob.viewer, theirs.id)
    assert ([each["emoji"] for each in back.reactions], back.reply_count) == (["👍"], 1)
