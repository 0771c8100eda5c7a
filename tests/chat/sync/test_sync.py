"""Sync by revision: what a client lacks, in its latest state, and the watermark that it then has (protocol 2.4)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts import blocks
from chat.conversations import members
from chat.frames import SyncChat, SyncRequest, SyncResponse, Watermark
from chat.messages import edits
from chat.models import Conversation, Member, Message
from chat.refusals import NotAMember
from chat.sync import sync
from gateway.errors import InvalidPayload, NotFound
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.factories import Someone, direct, group, say, say_many, someone

Held = dict[int, tuple[int, int]]


def asked(person: Someone, held: Mapping[int, tuple[int, int]], limit: int | None = None) -> SyncResponse:
    return sync.changes(
        person.viewer, {chat: Watermark(seq=seq, rev=rev) for chat, (seq, rev) in held.items()}, limit=limit
    )


def part(answer: SyncResponse, chat: int) -> SyncChat:
    (found,) = [c for c in answer.chats if c.chat_id == str(chat)]
    return found


def everything(person: Someone, held: Held, limit: int) -> tuple[dict[int, list[int]], int]:
    """Sync as a client does, again while there is more; returns the seqs got by chat, and the number of requests."""
    got: dict[int, list[int]] = {}
    for number in range(1, 100):
        answer = asked(person, held, limit)
        for chat in answer.chats:
            got.setdefault(int(chat.chat_id), []).extend(m.seq for m in chat.messages)
            held[int(chat.chat_id)] = (chat.seq, chat.rev)
        if not answer.has_more:
            return got, number
    raise AssertionError("it never ends")


def test_missing_messages_sync_in_seq_order_with_a_new_watermark() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 5)

    got = part(asked(bob, {chat: (2, 3)}), chat)

    assert [m.seq for m in got.messages] == [3, 4, 5]
    assert (got.seq, got.rev, got.has_more, got.too_large, got.cursor) == (5, 6, False, False, None)


def test_sync_sends_changed_settings_until_the_client_has_their_rev() -> None:
    ada, bob, eve = someone(), someone(), someone("Eve")
    chat = group(ada, bob)
    say_many(ada, chat, 1)
    held = part(asked(bob, {}), chat)
    assert part(asked(bob, {chat: (held.seq, held.rev)}), chat).chat is None

    members.add(ada.id, chat, eve.id)
    behind = part(asked(bob, {chat: (held.seq, held.rev)}), chat)

    assert behind.chat is not None
    assert (behind.chat.rev, behind.chat.member_count) == (behind.rev, 3)
    assert part(asked(bob, {chat: (behind.seq, behind.rev)}), chat).chat is None


def test_current_client_gets_only_marks() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 2)
    record_marks([Mark(bob.id, chat, 0, 2)])

    got = part(asked(ada, {chat: (2, 3)}), chat)

    assert (got.messages, got.seq, got.rev) == ([], 2, 3)
    assert {m.user_id: (m.delivered_seq, m.read_seq) for m in got.members} == {str(ada.id): (2, 2), str(bob.id): (2, 2)}


def test_sync_sends_a_chat_without_watermark_from_its_start() -> None:
    ada, bob, cem = someone(), someone(), someone()
    known, new, empty = direct(ada, bob), group(cem, ada), direct(ada, cem)
    say_many(bob, known, 2)
    say_many(cem, new, 3)

    answer = asked(ada, {known: (2, 3)})

    assert [m.seq for m in part(answer, new).messages] == [1, 2, 3]
    assert (part(answer, empty).messages, part(answer, empty).seq, part(answer, empty).rev) == ([], 0, 1)
    assert part(answer, known).messages == []


def test_sync_sends_the_latest_chats_first() -> None:
    ada, bob = someone(), someone()
    chats = [group(bob, ada) for _ in range(4)]
    for chat in chats:
        say(bob, chat)

    assert [int(c.chat_id) for c in asked(ada, {}).chats] == chats[::-1]


def test_sync_lists_chats_without_membership_as_removed() -> None:
    ada, bob, eve = someone(), someone(), someone()
    left, stays, hers = group(ada, bob), group(ada, bob), direct(ada, eve)
    members.remove(bob.id, left, bob.id)

    answer = asked(bob, {left: (0, 1), stays: (0, 1), hers: (0, 0), 1: (0, 0)})

    assert sorted(answer.removed) == sorted([str(left), str(hers), "1"]), (
        "what is not yours looks like what is not there"
    )
    assert [c.chat_id for c in answer.chats] == [str(stays)]


def test_membership_change_alone_advances_the_rev_and_syncs_members() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob)
    say(ada, chat)
    members.add(ada.id, chat, cem.id)

    got = part(asked(bob, {chat: (2, 2)}), chat)

    assert (got.messages, got.seq, got.rev) == ([], 2, 4)
    assert [m.user_id for m in got.members] == [str(ada.id), str(bob.id), str(cem.id)]


def test_changed_older_message_syncs_once_in_its_latest_state() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    second = say_many(ada, chat, 4)[1]
    for content in ("edited", "edited twice"):
        edits.edit(ada.id, second.id, content)

    got = part(asked(bob, {chat: (3, 4)}), chat)
    again = part(asked(bob, {chat: (got.seq, got.rev)}), chat)
    fresh = part(asked(bob, {}), chat)

    assert [(m.seq, m.content) for m in got.messages] == [(2, "edited twice"), (4, "4")]
    assert (got.seq, got.rev, again.messages) == (4, 7, [])
    assert [m.content for m in fresh.messages] == ["1", "edited twice", "3", "4"]


def test_changes_above_the_page_size_come_with_the_next_page(settings: Settings) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    settings.LIMITS = replace(settings.LIMITS, sync_too_large=4)
    for message in say_many(ada, chat, 10):
        edits.edit(ada.id, message.id, "edited")

    got = part(asked(bob, {chat: (10, 11)}), chat)

    assert (got.too_large, got.messages, got.rev) == (True, [], 21), "the client loads the chat afresh"


def test_changes_of_many_chats_come_in_several_answers(settings: Settings) -> None:
    ada, bob = someone(), someone()
    chats = [group(ada, bob) for _ in range(3)]
    held: Held = {}
    for chat in chats:
        stored = say_many(ada, chat, 3)
        held[chat] = rows.counters(chat)
        for message in stored:
            edits.edit(ada.id, message.id, "edited")
    settings.LIMITS = replace(settings.LIMITS, sync_messages=2, sync_too_large=4)

    first = asked(bob, held)
    got, requests = everything(bob, held, 2)

    assert sum(len(chat.messages) for chat in first.chats) == 3
    assert (got, requests) == ({chat: [1, 2, 3] for chat in chats}, 3)
    assert held == {chat: rows.counters(chat) for chat in chats}


def test_gap_above_the_limit_is_too_large_and_has_no_messages(settings: Settings) -> None:
    ada, bob = someone(), someone()
    large, small = direct(ada, bob), group(ada, bob)
    say_many(ada, large, 7)
    say_many(ada, small, 3)
    settings.LIMITS = replace(settings.LIMITS, sync_too_large=5)

    answer = asked(bob, {large: (1, 2), small: (0, 1)})

    assert (part(answer, large).too_large, part(answer, large).messages) == (True, [])
    assert (part(answer, large).seq, part(answer, large).rev) == (7, 8)
    assert [m.seq for m in part(answer, small).messages] == [1, 2, 3]
    assert not answer.has_more
    at_the_limit = part(asked(bob, {large: (2, 3)}), large)
    assert (at_the_limit.too_large, len(at_the_limit.messages)) == (False, 5)


def test_live_message_between_sync_pages_is_a_gap() -> None:
    """A client moves its watermark with the frame that bears the next rev: it would skip the pages that are still to come."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 5)

    first = part(asked(bob, {chat: (1, 2)}, 2), chat)
    live = say(ada, chat)
    second = part(asked(bob, {chat: (first.seq, first.rev)}, 2), chat)
    last = part(asked(bob, {chat: (second.seq, second.rev)}, 2), chat)

    assert (first.has_more, second.has_more, last.has_more) == (True, True, False)
    assert live.rev > first.rev + 1
    assert [m.seq for page in (first, second, last) for m in page.messages] == [2, 3, 4, 5, live.seq]
    assert (last.seq, last.rev) == (live.seq, live.rev)


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_sync_pages_deliver_everything_exactly_once(limit: int) -> None:
    ada, bob = someone(), someone()
    chats = [group(ada, bob) for _ in range(3)]
    for n, chat in enumerate(chats):
        say_many(ada, chat, 4 + n)

    held: Held = {chats[0]: (2, 3)}
    got, requests = everything(bob, held, limit)

    assert got == {chats[0]: [3, 4], chats[1]: [1, 2, 3, 4, 5], chats[2]: [1, 2, 3, 4, 5, 6]}
    assert held == {chat: rows.counters(chat) for chat in chats}
    assert requests <= 13 // limit + 2


def test_sync_pages_miss_no_message_stored_meanwhile() -> None:
    ada, bob = someone(), someone()
    one, two = group(ada, bob), group(ada, bob)
    say_many(ada, one, 4)
    say_many(ada, two, 4)
    held: Held = {}
    got: dict[int, list[int]] = {one: [], two: []}

    for _ in range(12):
        answer = asked(bob, held, 3)
        for chat in answer.chats:
            got[int(chat.chat_id)].extend(m.seq for m in chat.messages)
            held[int(chat.chat_id)] = (chat.seq, chat.rev)
        if rows.counters(one)[0] < 7:
            say(ada, one)
        elif not answer.has_more:
            break

    assert got == {one: list(range(1, 8)), two: [1, 2, 3, 4]}


def test_sync_skips_invisible_messages_and_advances_the_watermark() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat, shared = direct(ada, bob), group(ada, bob, cem)
    say(bob, chat)
    blocks.block(ada.id, bob.id)
    for place, who in ((chat, bob), (shared, bob), (shared, cem), (shared, bob)):
        say(who, place)

    answer = asked(ada, {chat: (0, 0), shared: (0, 0)})

    assert [m.seq for m in part(answer, shared).messages] == [2]
    assert (part(answer, shared).seq, part(answer, shared).rev) == rows.counters(shared)
    assert [m.seq for m in part(answer, chat).messages] == [1]
    assert part(answer, chat).seq == 2
    assert [m.seq for m in part(asked(bob, {}), chat).messages] == [1, 2]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_paging_ends_if_only_hidden_messages_are_left(limit: int) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    blocks.block(ada.id, bob.id)
    for who in (bob, cem, bob, bob, cem, bob):
        say(who, chat)

    held: Held = {}
    got, _ = everything(ada, held, limit)

    assert got == {chat: [2, 5]}
    assert held == {chat: rows.counters(chat)}


def test_new_member_without_shared_history_syncs_from_joining() -> None:
    ada, bob = someone(), someone()
    chat = group(ada)
    rows.change(chat, {"shares_history": False})
    say_many(ada, chat, 3)
    members.add(ada.id, chat, bob.id)
    say(ada, chat, "4")

    got = part(asked(bob, {}), chat)

    assert [m.seq for m in got.messages] == [4, 5], "their coming, and what was said since"
    assert (got.seq, got.rev) == rows.counters(chat)


@pytest.mark.parametrize("named", [True, False])
def test_rejoined_member_keeps_access_to_received_messages(named: bool) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    rows.change(chat, {"shares_history": False})
    say_many(ada, chat, 3)
    members.remove(ada.id, chat, bob.id)
    say(ada, chat, "unseen")
    members.add(ada.id, chat, bob.id)

    got = part(asked(bob, {chat: (1, 2)} if named else {}), chat)

    assert [m.seq for m in got.messages] == ([] if named else [1]) + [2, 3, 4, 6], "4 and 6 tell of leaving and coming"
    assert (got.seq, got.rev) == rows.counters(chat)


def test_client_ahead_of_the_server_gets_the_servers_watermark() -> None:
    """After a failover with loss a client must not skip what takes the lost numbers."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say(ada, chat)

    got = part(asked(bob, {chat: (9, 10)}), chat)

    assert (got.too_large, got.messages, got.seq, got.rev) == (True, [], 1, 2)


def test_sync_badges_are_the_unread_counts_of_all_chats() -> None:
    ada, bob = someone(), someone()
    one, two, read = direct(ada, bob), group(ada, bob), group(ada, bob)
    for chat, count in ((one, 2), (two, 1), (read, 3)):
        say_many(ada, chat, count)
    record_marks([Mark(bob.id, read, 0, 3)])

    assert asked(bob, {}).badges == {str(one): 2, str(two): 1}


def test_sync_of_one_chat_by_its_last_message() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat, other = direct(ada, bob), group(ada, bob)
    stored = say_many(ada, chat, 4)
    say(ada, other)

    answer = sync.requested(bob.viewer, SyncRequest(chat_id=str(chat), last_message_id=str(stored[1].id), limit=1))

    assert [c.chat_id for c in answer.chats] == [str(chat)]
    assert [m.seq for m in answer.chats[0].messages] == [3]
    assert (answer.has_more, answer.chats[0].has_more, answer.chats[0].cursor) == (True, True, "3")
    assert answer.removed == []
    for who, wanted in ((eve, SyncRequest(chat_id=str(chat))), (ada, SyncRequest(chat_id="1"))):
        with pytest.raises(NotAMember):
            sync.requested(who.viewer, wanted)
    with pytest.raises(NotFound):
        sync.requested(bob.viewer, SyncRequest(chat_id=str(other), last_message_id=str(stored[0].id)))
    with pytest.raises(InvalidPayload):
        sync.requested(bob.viewer, SyncRequest())


def test_sync_query_count_is_constant(many: list[Someone]) -> None:
    counts = []
    for chats, others, messages in ((1, [someone()], 1), (1, many, 200), (10, [someone()], 3)):
        ada = someone()
        held: Held = {}
        for _ in range(chats):
            chat = group(ada, *others)
            say_many(ada, chat, messages)
            held[chat] = (0, 0)
        with CaptureQueriesContext(connection) as executed:
            answer = asked(ada, held)
        assert sum(len(c.messages) for c in answer.chats) == chats * messages
        counts.append(len(executed))

    assert counts == [5, 5, 5]


def test_resume_replays_messages_since_a_moment() -> None:
    ada, bob = someone(), someone()
    one, two = direct(ada, bob), group(ada, bob)
    say(ada, one, "long ago")
    Message.objects.filter(conversation_id=one).update(created_at=datetime.now(UTC) - timedelta(hours=1))
    Conversation.objects.filter(id=two).update(last_message_at=datetime.now(UTC) - timedelta(hours=1))
    since = datetime.now(UTC) - timedelta(minutes=1)
    say(ada, one, "just now")

    frames = sync.replay(bob.viewer, since)

    assert frames is not None
    payloads = [msgspec.json.decode(frame) for frame in frames]
    assert [(p["type"], p["payload"]["message"]["content"]) for p in payloads] == [("message.new", "just now")]
    assert sync.replay(someone().viewer, since) == []


def test_resume_with_too_many_messages_needs_a_sync() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    since = datetime.now(UTC) - timedelta(minutes=1)
    say_many(ada, chat, sync.REPLAYED)

    assert sync.replay(bob.viewer, since) is None


def test_resume_counts_messages_that_the_user_may_not_see() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    since = datetime.now(UTC) - timedelta(minutes=1)
    say(cem, chat, "the first")
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, sync.REPLAYED - 1)
    say(cem, chat, "the last")

    assert sync.replay(bob.viewer, since) is None


def test_resume_with_too_many_changes_of_one_message_needs_a_sync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync, "REPLAYED", 10)
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    one, other = say_many(ada, chat, 2)
    Message.objects.filter(conversation_id=chat).update(created_at=datetime.now(UTC) - timedelta(hours=1))
    since = datetime.now(UTC) - timedelta(minutes=1)

    edits.edit(ada.id, one.id, "edited")
    for n in range(9):
        edits.edit(ada.id, other.id, f"edited {n}")
    enough = sync.replay(bob.viewer, since)
    edits.edit(ada.id, other.id, "edited once more")

    assert enough is not None
    assert [msgspec.json.decode(frame)["payload"]["message"]["content"] for frame in enough] == ["edited", "edited 8"]
    assert sync.replay(bob.viewer, since) is None


def test_resume_reports_chats_left_meanwhile() -> None:
    ada, bob = someone(), someone()
    left, back, before = (group(ada, bob) for _ in range(3))
    members.remove(ada.id, before, bob.id)
    Member.objects.filter(conversation_id=before).update(left_at=datetime.now(UTC) - timedelta(hours=1))
    since = datetime.now(UTC) - timedelta(minutes=1)

    for chat in (left, back):
        members.remove(ada.id, chat, bob.id)
    members.add(ada.id, back, bob.id)

    frames = [msgspec.json.decode(frame) for frame in sync.replay(bob.viewer, since) or []]
    assert [f["payload"]["chatId"] for f in frames if f["type"] == "chat.removed"] == [str(left)]
    assert {f["payload"]["chatId"] for f in frames if f["type"] == "chat.updated"} == {str(back)}
