"""The receipt log: one row for many messages, append-only, hash-chained, dropped after its retention (K1, K7, K47)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from chat.conversations import members
from gateway.ids import ConversationId, DeviceId
from holds.models import Hold
from receipts import chain, partitions
from receipts.mark_writer import submit_mark
from receipts.marks import Mark, record_marks
from receipts.models import Lane, Partition, Transition
from tests.chat import rows
from tests.chat.sessions import at_once
from tests.factories import Someone, another_device, direct, group, say, say_many, someone
from tests.receipts.log import expire_rows, log_by_message, log_ranges, without_triggers
from tests.receipts.test_marks import write_batch

DELIVERED, SEEN = 2, 3
MESSAGES = 6


@pytest.fixture
def chat_of_two() -> Iterator[tuple[Someone, Someone, int]]:
    """A chat in which Ada has sent Bob six messages. After the test the chain must be intact."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, MESSAGES)
    yield ada, bob, chat
    assert chain.find_broken_row() is None


def test_mark_is_logged_as_one_row_for_its_range(chat_of_two: tuple[Someone, Someone, int]) -> None:
    _, bob, chat = chat_of_two

    record_marks([Mark(bob.id, ConversationId(chat), 4, 0, bob.device_id)])
    record_marks([Mark(bob.id, ConversationId(chat), 0, 3, bob.device_id)])
    record_marks([Mark(bob.id, ConversationId(chat), 6, 5, bob.device_id)])
    record_marks([Mark(bob.id, ConversationId(chat), 6, 5, bob.device_id)])

    assert log_ranges(chat) == [
        (bob.id, bob.device_id, DELIVERED, 1, 4),
        (bob.id, bob.device_id, SEEN, 1, 3),
        (bob.id, bob.device_id, DELIVERED, 5, 6),
        (bob.id, bob.device_id, SEEN, 4, 5),
    ]


def test_batch_logs_each_device_and_moves_the_member_once(
    chat_of_two: tuple[Someone, Someone, int],
) -> None:
    _, bob, chat = chat_of_two
    desk = another_device(bob)

    outcomes = write_batch(
        [
            Mark(bob.id, ConversationId(chat), 6, 0, bob.device_id),
            Mark(bob.id, ConversationId(chat), 5, 2, desk.device_id),
        ]
    )

    assert outcomes == ["done", "done"]
    assert sorted(log_ranges(chat)) == sorted(
        [
            (bob.id, bob.device_id, DELIVERED, 1, 6),
            (bob.id, desk.device_id, DELIVERED, 1, 5),
            (bob.id, desk.device_id, SEEN, 1, 2),
        ]
    )
    member = rows.member(bob, ConversationId(chat))
    assert (member.delivered_seq, member.read_seq) == (6, 2)


def test_delivered_mark_below_a_seen_mark_is_not_logged(chat_of_two: tuple[Someone, Someone, int]) -> None:
    _, bob, chat = chat_of_two

    record_marks([Mark(bob.id, ConversationId(chat), 0, 5, bob.device_id)])
    record_marks([Mark(bob.id, ConversationId(chat), 4, 0, bob.device_id)])

    assert log_ranges(chat) == [(bob.id, bob.device_id, SEEN, 1, 5)]
    assert {state for _, _, state in log_by_message(chat)} == {"delivered", "seen"}


def test_log_of_a_new_member_begins_at_their_join() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob)
    say_many(ada, chat, 3)
    members.add(ada.id, chat, cem.id)
    say(ada, chat)
    last, _ = rows.counters(chat)
    joined = rows.member(cem, chat).joined_seq

    record_marks([Mark(cem.id, chat, 0, last, cem.device_id)])

    assert log_ranges(chat) == [(cem.id, cem.device_id, SEEN, joined + 1, last)]
    assert ada.id not in {user for _, user, _ in log_by_message(chat)}


claims = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, MESSAGES + 2), st.integers(0, MESSAGES + 2)), min_size=1, max_size=8
)


@given(sequence=claims, data=st.data())
@examples(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_marks_in_any_order_and_repetition_end_in_the_same_log(
    sequence: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """F100: only the marks decide, not their times, repetitions or batches; seen implies delivered."""
    ada, people = someone(), [someone(), someone()]
    devices = [
        [person.device_id, another_device(person).device_id, another_device(person).device_id] for person in people
    ]
    chats = [direct(ada, person) for person in people]
    for chat in chats:
        say_many(ada, chat, MESSAGES)
    shuffled = data.draw(st.permutations(sequence + data.draw(st.lists(st.sampled_from(sequence), max_size=4))))
    size = data.draw(st.integers(1, 12))

    def marks(which: int, claimed: list[tuple[int, int, int]]) -> list[Mark]:
        return [Mark(people[which].id, chats[which], d, s, devices[which][device]) for device, d, s in claimed]

    for mark in marks(0, sequence):
        assert write_batch([mark]) == ["done"]
    for begin in range(0, len(shuffled), size):
        write_batch(marks(1, shuffled[begin : begin + size]))

    states = [(rows.member(p, c).delivered_seq, rows.member(p, c).read_seq) for p, c in zip(people, chats, strict=True)]
    views = [[(seq, state) for seq, _, state in log_by_message(chat)] for chat in chats]
    assert states[0] == states[1]
    assert views[0] == views[1]
    assert len(views[0]) == len(set(views[0])), "one row a message, recipient and state"
    assert views[0] == sorted(
        [(seq, "delivered") for seq in range(1, states[0][0] + 1)]
        + [(seq, "seen") for seq in range(1, states[0][1] + 1)]
    )


@pytest.mark.parametrize(
    "change", ["UPDATE receipts_log SET at = now()", "DELETE FROM receipts_log", "TRUNCATE receipts_log"]
)
def test_log_refuses_changes_even_by_the_table_owner(chat_of_two: tuple[Someone, Someone, int], change: str) -> None:
    _, bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 1, 0, bob.device_id)])
    before = Transition.objects.count()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    name = Partition.objects.filter(from_on__lte=Transition.objects.filter(conversation_id=chat)[0].expires_on).latest(
        "from_on"
    )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(re.sub("receipts_log", name.pk, change))

    assert Transition.objects.count() == before


@pytest.mark.parametrize(
    "change", ["DELETE FROM receipts_lane", "TRUNCATE receipts_lane", "TRUNCATE receipts_inspection"]
)
def test_lanes_and_inspections_refuse_deletion(chat_of_two: tuple[Someone, Someone, int], change: str) -> None:
    _, bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 1, 0, bob.device_id)])

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_concurrent_marks_make_one_chain_without_a_fork(chat_of_two: tuple[Someone, Someone, int]) -> None:
    _, bob, chat = chat_of_two
    devices = [bob.device_id, another_device(bob).device_id]

    def claim(device: int) -> None:
        for seq in range(1, MESSAGES + 1):
            submit_mark(Mark(bob.id, ConversationId(chat), seq, 0, DeviceId(device)))

    at_once([partial(claim, devices[n % 2]) for n in range(4)])

    for device in devices:
        numbers = Transition.objects.filter(conversation_id=chat, device_id=device).order_by("to_seq")
        assert [row.n for row in numbers] == list(range(1, len(numbers) + 1))
        assert numbers.last().to_seq == MESSAGES  # type: ignore[union-attr]


def test_verify_command_proves_an_intact_chain(chat_of_two: tuple[Someone, Someone, int]) -> None:
    _, bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 1, 0, bob.device_id)])
    out = StringIO()

    call_command("verify_receipts", stdout=out)

    assert re.fullmatch(r"whole: \d+ rows in \d+ lanes, digest [0-9a-f]{64}\n", out.getvalue())


TAMPERING = {
    "was altered": "UPDATE receipts_log SET at = at - interval '1 hour' WHERE conversation_id = {0} AND n = 2",
    "lacks the row before it": "DELETE FROM receipts_log WHERE conversation_id = {0} AND n = 2",
    "is missing": "DELETE FROM receipts_log WHERE conversation_id = {0} AND n = 3",
    "was put in": """
        INSERT INTO receipts_log SELECT conversation_id, user_id, device_id, 4, 6, 6, at, expires_at, expires_on,
            expires_on, state, hash, receipts_hash(hash, expires_on, conversation_id, user_id, device_id, state, 4, 6, 6,
            at, expires_at) FROM receipts_log WHERE conversation_id = {0} AND n = 3""",
    "does not follow the row before it": """
        UPDATE receipts_log SET at = at - interval '1 hour', hash = receipts_hash(
            previous_hash, previous_expires_on, conversation_id, user_id, device_id, state, n, from_seq, to_seq,
            at - interval '1 hour', expires_at) WHERE conversation_id = {0} AND n = 2""",
}


@pytest.mark.parametrize("fault", TAMPERING)
def test_verify_command_names_the_tampered_row(chat_of_two: tuple[Someone, Someone, int], fault: str) -> None:
    _, bob, chat = chat_of_two
    for seq in (1, 2, 3):
        record_marks([Mark(bob.id, ConversationId(chat), seq, 0, bob.device_id)])

    with pytest.raises(CommandError) as error, transaction.atomic(), without_triggers() as cursor:
        cursor.execute(TAMPERING[fault].format(chat))
        call_command("verify_receipts")

    row = {"was altered": 2, "was put in": 4}.get(fault, 3)
    expected = f"conversation {chat}, user {bob.id}, device {bob.device_id}, delivered, row {row}: {fault}"
    assert str(error.value) == expected


# --- retention --------------------------------------------------------------------------------------------------------


def test_expired_partition_is_dropped_and_chain_and_marks_stay(
    chat_of_two: tuple[Someone, Someone, int],
) -> None:
    _, bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 3, 0, bob.device_id)])
    partition = expire_rows(chat, date(2020, 1, 15))

    before = chain.find_broken_row()
    dropped = partitions.drop_expired()
    record_marks([Mark(bob.id, ConversationId(chat), 5, 0, bob.device_id)])

    assert before is None
    assert dropped == 1
    partition.refresh_from_db()
    assert (partition.rows, partition.dropped_at is not None) == (1, True)
    assert log_ranges(chat) == [(bob.id, bob.device_id, DELIVERED, 4, 5)]
    assert rows.member(bob, ConversationId(chat)).delivered_seq == 5
    assert chain.find_broken_row() is None
    assert partitions.drop_expired() == 0


@pytest.mark.parametrize("about", ["conversation_id", "user_id"])
def test_partition_under_a_hold_is_dropped_only_after_its_end(
    chat_of_two: tuple[Someone, Someone, int], about: str
) -> None:
    _, bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 3, 0, bob.device_id)])
    day = date(2020, 3, 15) if about == "user_id" else date(2020, 5, 15)
    expire_rows(chat, day)
    hold = Hold.objects.create(
        **{about: {"conversation_id": chat, "user_id": bob.id}[about]}, held_by="L", reason="case"
    )

    held = partitions.drop_expired()
    still = log_ranges(chat)
    Hold.objects.filter(pk=hold.pk).update(held_until=connection.ops.adapt_datetimefield_value(hold.created_at))
    ended = partitions.drop_expired()

    assert (held, len(still), ended, log_ranges(chat)) == (0, 1, 1, [])


def test_partitions_are_made_ahead_for_each_retention_period(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, seen_kept=400 * 86400, delivered_kept=200 * 86400)
    today = partitions.read_database_date()

    first, second = partitions.make_upcoming(), partitions.make_upcoming()

    assert first > 0
    assert second == 0
    for days in (200, 230, 250, 400, 430, 450):
        day = today + timedelta(days=days)
        (there,) = Partition.objects.filter(from_on__lte=day, until_on__gt=day)
        assert 0 < (there.until_on - there.from_on).days <= 31


def test_each_state_has_its_retention_and_missing_partitions_are_made(
    chat_of_two: tuple[Someone, Someone, int], settings: Settings
) -> None:
    _, bob, chat = chat_of_two
    settings.LIMITS = replace(settings.LIMITS, seen_kept=1000 * 86400, delivered_kept=40 * 86400)

    assert write_batch([Mark(bob.id, ConversationId(chat), 5, 2, bob.device_id)]) == ["done"]

    kept = {row.state: (row.expires_at - row.marked_at).days for row in Transition.objects.filter(conversation_id=chat)}
    assert kept == {SEEN: 1000, DELIVERED: 40}
    assert Lane.objects.filter(conversation_id=chat).count() == 2
