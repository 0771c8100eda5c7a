"""The proof of the hash chain against forged partitions and lanes (F108)."""

from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from gateway.ids import ConversationId
from receipts import partitions, policies
from receipts.marks import Mark, record_marks
from receipts.models import Partition, Transition
from tests.factories import Someone, direct, say_many, someone
from tests.receipts.log import expire_rows, without_triggers


@pytest.fixture
def chat_of_two() -> tuple[Someone, int]:
    """Bob, and a direct chat in which Ada has sent him six messages."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    say_many(ada, chat, 6)
    return bob, chat


def verify_after(chat_of_two: tuple[Someone, int], *changes: str) -> str:
    """Apply changes as a superuser, return the fault that the verifier names, and roll everything back."""
    bob, chat = chat_of_two
    with pytest.raises(CommandError) as error, transaction.atomic(), without_triggers() as cursor:
        for change in changes:
            cursor.execute(change.format(chat=chat))
        call_command("verify_receipts")
    begin = f"conversation {chat}, user {bob.id}, device {bob.device_id}, delivered, "
    assert str(error.value).startswith(begin)
    return str(error.value).removeprefix(begin)


@pytest.mark.parametrize(
    ("days", "cover"),
    [
        (2000, "dropped_at = now()"),
        (2100, "dropped_at = until_on"),
        (2200, "dropped_at = now(), until_on = current_date"),
    ],
)
def test_early_dropped_partition_breaks_the_proof_despite_a_forged_register(
    chat_of_two: tuple[Someone, int], days: int, cover: str
) -> None:
    bob, chat = chat_of_two
    policies.set_retention(ConversationId(chat), days=days, reason="finance")
    record_marks([Mark(bob.id, ConversationId(chat), 3, 0, bob.device_id)])
    day = Transition.objects.get(conversation_id=chat).expires_on
    name = Partition.objects.get(from_on__lte=day, until_on__gt=day).pk

    covered = f"UPDATE receipts_partition SET {cover} WHERE name = '{name}'"
    assert verify_after(chat_of_two, f"DROP TABLE {name}", covered) == "row 1: is missing"


def test_changed_lane_breaks_the_proof_after_its_rows_expired(chat_of_two: tuple[Someone, int]) -> None:
    """The lane shows how far a device has read, also after its log rows have expired."""
    bob, chat = chat_of_two
    record_marks([Mark(bob.id, ConversationId(chat), 3, 0, bob.device_id)])
    expire_rows(chat, date(2020, 7, 15))
    partitions.drop_expired()

    moved = "UPDATE receipts_lane SET to_seq = 6 WHERE conversation_id = {chat}"
    assert verify_after(chat_of_two, moved) == "row 1: was altered in its lane"


def test_forged_expiry_of_a_lane_breaks_the_proof(chat_of_two: tuple[Someone, int]) -> None:
    bob, chat = chat_of_two
    aged_one = someone(), someone()
    other = direct(*aged_one)
    say_many(aged_one[0], other, 1)
    record_marks(
        [
            Mark(aged_one[1].id, other, 1, 0, aged_one[1].device_id),
            Mark(bob.id, ConversationId(chat), 3, 0, bob.device_id),
        ]
    )
    expire_rows(other, date(2020, 9, 15))
    partitions.drop_expired()

    taken = "DELETE FROM receipts_log WHERE conversation_id = {chat}"
    covered = "UPDATE receipts_lane SET expires_on = '2020-09-15' WHERE conversation_id = {chat}"
    assert verify_after(chat_of_two, taken, covered) == "row 1: was altered in its lane"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM receipts_log WHERE conversation_id = {chat} AND n > 1", "row 3: is missing"),
        ("DELETE FROM receipts_log WHERE conversation_id = {chat}", "row 3: is missing"),
        ("DELETE FROM receipts_lane WHERE conversation_id = {chat}", "row 1: was put in"),
        (
            "UPDATE receipts_log SET n = 3 - n WHERE conversation_id = {chat} AND n < 3",
            "row 1: was altered",
        ),
        (
            "UPDATE receipts_log SET to_seq = to_seq + 10 WHERE conversation_id = {chat} AND n = 1",
            "row 1: was altered",
        ),
    ],
)
def test_removed_or_swapped_rows_are_named(chat_of_two: tuple[Someone, int], change: str, fault: str) -> None:
    bob, chat = chat_of_two
    for seq in (1, 2, 3):
        record_marks([Mark(bob.id, ConversationId(chat), seq, 0, bob.device_id)])

    assert verify_after(chat_of_two, change) == fault
