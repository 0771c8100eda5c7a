"""Marks: recorded despite settings, only upwards, and published as privacy permits (K7, K8, F100, F111)."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts import privacy
from chat.conversations import members, queries
from chat.refusals import NotAMember
from gateway import bus
from gateway.bus import Event
from gateway.ids import ConversationId
from receipts.mark_writer import MarkWriter, submit_mark
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.chat.sessions import at_once
from tests.factories import Someone, crowd, direct, group, say, say_many, someone

MESSAGES = 8


@pytest.fixture
def published() -> Iterator[list[Event]]:
    taken: list[Event] = []
    before = bus._hub
    bus.attach(taken.append)
    yield taken
    bus.attach(before)


def watermarks(person: Someone, chat: int) -> tuple[int, int]:
    row = rows.member(person, ConversationId(chat))
    return row.delivered_seq, row.read_seq


def receipts_in(published: list[Event], type_: str) -> list[Any]:
    """Return the published receipts of a type, in order."""
    frames = [msgspec.json.decode(event.frame) for event in published]
    return [receipt for frame in frames if frame["type"] == type_ for receipt in frame["payload"]["receipts"]]


def would_reach(published: list[Event], type_: str, person: Someone, chat: int) -> bool:
    """Say whether the hub would send a member a frame of this type."""
    for event in published:
        if msgspec.json.decode(event.frame)["type"] != type_:
            continue
        if person.id in event.users or (event.conversation_id == chat and person.id not in event.skip_users):
            return True
    return False


def write_batch(marks: list[Mark]) -> list[str]:
    """Record a batch as a web process does; return the outcomes."""

    async def batch() -> list[str]:
        mark_writer = MarkWriter()
        try:
            return await mark_writer._write_batch(marks)
        finally:
            await mark_writer._database._disconnect()

    return asyncio.run(batch())


claims = st.lists(
    st.tuples(st.integers(0, MESSAGES + 3), st.integers(0, MESSAGES + 3), st.booleans()), min_size=1, max_size=12
)


@given(sequence=claims, batched=st.booleans())
@examples(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_marks_only_rise_and_stop_at_the_last_message(sequence: list[tuple[int, int, bool]], batched: bool) -> None:
    """In any order, in one batch or one by one: each mark ends at the highest seq."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, MESSAGES)
    claimed = [Mark(bob.id, chat, delivered, seen if both else 0) for delivered, seen, both in sequence]
    before = (0, 0)

    for batch in [claimed] if batched else [[mark] for mark in claimed]:
        assert write_batch(batch) == ["done"] * len(batch)
        now = watermarks(bob, chat)
        assert now[0] >= before[0] and now[1] >= before[1]
        before = now

    seen = min(MESSAGES, max(mark.seen for mark in claimed))
    delivered = min(MESSAGES, max(max(mark.delivered, mark.seen) for mark in claimed))
    assert before == (delivered, seen)


def test_concurrent_marks_end_at_the_highest() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say_many(ada, chat, 20)
    claimed = [Mark(person.id, chat, n, n // 2) for n in range(20, 0, -1) for person in (bob, cem)]

    def mark(mine: list[Mark]) -> None:
        for claim in mine:
            submit_mark(claim)

    at_once([partial(mark, claimed[n::4]) for n in range(4)])

    assert watermarks(bob, chat) == watermarks(cem, chat) == (20, 10)


def test_mark_does_not_wait_for_a_lock_and_is_retried() -> None:
    """A batch of marks locks many rows: waiting for the lock of a send could deadlock."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 1)

    with transaction.atomic():
        say(bob, chat)
        assert at_once(
            [lambda: record_marks([Mark(bob.id, chat, 1, 1)]), lambda: record_marks([Mark(ada.id, chat, 1, 1)])]
        ) == [
            ["busy"],
            ["done"],
        ]

    assert record_marks([Mark(bob.id, chat, 2, 2)]) == ["done"]


def test_receipts_are_published_only_for_marks_that_moved(published: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    stored = say_many(ada, chat, 5)
    published.clear()

    record_marks([Mark(bob.id, chat, 2, 0)])
    record_marks([Mark(bob.id, chat, 0, 4)])
    record_marks([Mark(bob.id, chat, 3, 3)])
    record_marks([Mark(bob.id, chat, 4, 4)])

    assert receipts_in(published, "delivery.receipt") == [
        {"userId": str(bob.id), "seq": 2},
        {"userId": str(bob.id), "seq": 4},
    ]
    assert receipts_in(published, "read.receipt") == [{"userId": str(bob.id), "messageId": str(stored[3].id), "seq": 4}]


def test_batch_of_marks_publishes_one_frame_a_conversation(published: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say_many(ada, chat, 3)
    published.clear()

    write_batch([Mark(bob.id, chat, 1, 0), Mark(cem.id, chat, 2, 0), Mark(bob.id, chat, 3, 0)])

    frames = [event for event in published if msgspec.json.decode(event.frame)["type"] == "delivery.receipt"]
    assert len(frames) == 1
    assert {(r["userId"], r["seq"]) for r in receipts_in(published, "delivery.receipt")} == {
        (str(bob.id), 3),
        (str(cem.id), 2),
    }


def test_mark_of_a_stranger_is_refused_and_the_batch_is_recorded() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat, left = direct(ada, bob), group(ada, bob)
    say_many(ada, chat, 1)
    say_many(ada, left, 1)
    members.remove(bob.id, left, bob.id)

    batch = [
        Mark(eve.id, chat, 1, 1),
        Mark(bob.id, chat, 1, 1),
        Mark(bob.id, left, 1, 1),
        Mark(ada.id, ConversationId(1), 1, 1),
    ]
    assert write_batch(batch) == ["stranger", "done", "stranger", "stranger"]
    with pytest.raises(NotAMember):
        submit_mark(Mark(eve.id, chat, 1, 1))
    assert watermarks(bob, chat) == (1, 1)


@pytest.mark.parametrize(("who", "setting"), [("reader", "send_read_receipts"), ("sender", "show_read_receipts")])
def test_privacy_setting_changes_receipts_but_not_recorded_marks(
    published: list[Event], who: str, setting: str
) -> None:
    """A changed setting applies to later receipts, and to lists at once (K8, F113, F429)."""
    sender, reader = someone(), someone()
    chat = direct(sender, reader)
    say_many(sender, chat, 3)
    private = {"reader": reader, "sender": sender}[who].id
    outcomes = []

    for seq, setting_is in ((1, True), (2, False), (3, True)):
        privacy.change(private, settings={setting: setting_is})
        published.clear()
        record_marks([Mark(reader.id, chat, 0, seq)])
        (shown,) = [
            m.read_seq for m in queries.conversation(sender.viewer, chat).members if m.user_id == str(reader.id)
        ]
        outcomes.append((would_reach(published, "read.receipt", sender, chat), shown, watermarks(reader, chat)[1]))

    assert outcomes == [(True, 1, 1), (False, 0, 2), (True, 3, 3)]


def test_own_devices_receive_read_receipts_despite_settings(published: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 1)
    privacy.change(bob.id, settings={"send_read_receipts": False, "show_read_receipts": False})
    published.clear()

    record_marks([Mark(bob.id, chat, 0, 1)])

    assert would_reach(published, "read.receipt", bob, chat)
    assert not would_reach(published, "read.receipt", ada, chat)
    assert would_reach(published, "delivery.receipt", ada, chat), "a delivery receipt is no read receipt"
    (own,) = [m.read_seq for m in queries.conversation(bob.viewer, chat).members if m.user_id == str(bob.id)]
    assert own == 1


def test_group_receipt_skips_members_with_receipts_off(published: list[Event]) -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    say_many(ada, chat, 1)
    privacy.change(cem.id, settings={"show_read_receipts": False})
    published.clear()

    record_marks([Mark(bob.id, chat, 0, 1)])

    assert [would_reach(published, "read.receipt", person, chat) for person in (ada, bob, cem)] == [True, True, False]


def test_large_group_gets_no_receipts_but_marks_are_recorded(published: list[Event], settings: Settings) -> None:
    ada, bob = someone(), someone()
    settings.LIMITS = replace(settings.LIMITS, fanout_threshold=5)
    large, small = group(ada, bob, *crowd(3)), group(ada, bob, *crowd(2))
    for chat in (large, small):
        say_many(ada, chat, 1)
    published.clear()

    for chat in (large, small):
        record_marks([Mark(bob.id, chat, 0, 1)])

    assert {e.conversation_id for e in published} == {small}
    assert watermarks(bob, large) == (1, 1)
    assert queries.conversation(bob.viewer, large).unread_count == 0


def test_query_count_of_marks_does_not_depend_on_batch_or_group_size() -> None:
    ada, bob = someone(), someone()
    small, large = group(ada, bob), group(ada, bob, *crowd(40))
    for chat in (small, large):
        say_many(ada, chat, 2)
    counts = []

    for marks in (
        [Mark(bob.id, small, 0, 1)],
        [Mark(bob.id, large, 0, 1)],
        [Mark(bob.id, c, 0, 2) for c in (small, large)],
    ):
        with CaptureQueriesContext(connection) as asked:
            record_marks(marks)
        counts.append(len(asked))

    assert len(set(counts)) == 1
    assert counts[0] <= 3
