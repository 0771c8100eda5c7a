"""The drain: each recorded event becomes one job for each of its reactions, by any number of workers."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from outbox import drain
from outbox.events import UserDisabled
from outbox.models import Job, Outbox
from outbox.outbox import record
from outbox.reactions import STALE_SECONDS
from tests.chat.sessions import at_once
from tests.outbox.conftest import chat_with_messages
from tests.outbox.reactions import Recorder, calling

FIRST, SECOND = calling("first", Recorder()), calling("second", Recorder(), events=("messages.stored", "user.disabled"))


def jobs() -> list[tuple[str, str]]:
    return list(Job.objects.order_by("reaction", "id").values_list("reaction", "event"))


def make_late() -> None:
    Outbox.objects.update(created_at=timezone.now() - timedelta(seconds=STALE_SECONDS + 1))


def test_each_event_becomes_one_job_for_each_of_its_reactions() -> None:
    chat = chat_with_messages(2)
    with transaction.atomic():
        record(UserDisabled(user_id=7))

    assert drain.drain([FIRST, SECOND]) == 3

    stored = "messages.stored"
    assert jobs() == [
        ("first", stored),
        ("first", stored),
        ("second", stored),
        ("second", stored),
        ("second", "user.disabled"),
    ]
    assert list(Job.objects.filter(reaction="second").order_by("id").values_list("keys", flat=True)) == [
        {"conversation_id": chat, "from_seq": 1, "to_seq": 1},
        {"conversation_id": chat, "from_seq": 2, "to_seq": 2},
        {"user_id": 7},
    ]
    assert not Outbox.objects.exists()


def test_event_without_a_reaction_is_deleted() -> None:
    chat_with_messages(1)

    assert drain.drain([]) == 1
    assert (jobs(), Outbox.objects.count()) == ([], 0)


def test_many_events_are_drained_by_one_statement() -> None:
    chat_with_messages(30)

    with CaptureQueriesContext(connection) as captured:
        assert drain.drain([FIRST, SECOND]) == 30

    assert len(captured.captured_queries) == 1


def test_more_events_than_a_batch_are_all_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "BATCH", 2)
    chat_with_messages(5)

    assert drain.drain([FIRST]) == 5
    assert len(jobs()) == 5


def test_late_only_reaction_gets_jobs_for_late_events_alone() -> None:
    late_only = calling("late", Recorder(), late_only=True)
    chat_with_messages(1)
    drain.drain([FIRST, late_only])
    assert jobs() == [("first", "messages.stored")]

    chat_with_messages(1)
    make_late()
    drain.drain([late_only])

    assert jobs() == [("first", "messages.stored"), ("late", "messages.stored")]


def test_clock_leaves_a_row_until_it_is_late_enough_to_be_published_again() -> None:
    late_only = calling("late", Recorder(), late_only=True)
    chat_with_messages(1)

    assert drain.drain([FIRST, late_only], older=STALE_SECONDS) == 0
    make_late()
    assert drain.drain([FIRST, late_only], older=STALE_SECONDS) == 1

    assert jobs() == [("first", "messages.stored"), ("late", "messages.stored")]


def test_job_keeps_the_time_of_its_event() -> None:
    chat_with_messages(1)
    make_late()

    drain.drain([FIRST])

    assert Job.objects.get().created_at < timezone.now() - timedelta(seconds=STALE_SECONDS)


def test_two_drains_at_once_make_each_job_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "BATCH", 2)
    chat_with_messages(20)

    drained = at_once([lambda: drain.drain([FIRST]), lambda: drain.drain([FIRST])])
    rest = drain.drain([FIRST])

    assert sum(drained) + rest == 20
    assert sorted(Job.objects.values_list("keys__from_seq", flat=True)) == list(range(1, 21))


def test_reactions_with_due_jobs_are_named_and_others_are_not() -> None:
    chat_with_messages(1)
    drain.drain([FIRST, SECOND])
    Job.objects.filter(reaction="second").update(available_at=timezone.now() + timedelta(seconds=60))

    assert drain.due([FIRST, SECOND]) == [FIRST]
    Job.objects.filter(reaction="first").update(dead_at=timezone.now())
    assert drain.due([FIRST, SECOND]) == []


def test_row_of_the_storing_function_of_an_old_process_is_drained() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO chat_outbox (event, conversation_id, from_seq, to_seq, attempts) VALUES ('messages.stored', 5, 1, 2, 0)"
        )

    assert drain.drain([FIRST]) == 1
    assert Job.objects.get().keys == {"conversation_id": 5, "from_seq": 1, "to_seq": 2}
