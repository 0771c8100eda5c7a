"""Recording an event: with its cause or not at all, whatever is unavailable."""

from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox import nudge
from outbox.events import EVENTS, MembersChanged, MessagesStored, OutboxEvent, UserDisabled
from outbox.models import Outbox
from outbox.outbox import record


def rows() -> list[tuple[str, Any]]:
    return [(row.event, row.data) for row in Outbox.objects.order_by("id")]


def test_event_is_one_insert_in_the_callers_transaction() -> None:
    with (
        CaptureQueriesContext(
            connection,
        ) as captured,
        transaction.atomic(),
    ):
        record(MembersChanged(conversation_id=2**62, user_ids=[1, 2], change="joined", actor_id=1))

    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["BEGIN", "INSERT", "COMMIT"]
    keys = {"conversation_id": 2**62, "user_ids": [1, 2], "change": "joined", "actor_id": 1}
    assert rows() == [("members.changed", keys)], "a key that does not apply is left out"


def test_event_of_a_rolled_back_transaction_leaves_no_row() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(UserDisabled(user_id=1))
        raise ZeroDivisionError

    assert rows() == []


def test_event_is_refused_outside_of_a_transaction() -> None:
    with pytest.raises(RuntimeError, match=r"user\.disabled"):
        record(UserDisabled(user_id=1))

    assert rows() == []


def test_worker_is_nudged_once_the_event_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    nudges: list[int] = []
    monkeypatch.setattr(nudge._nudger, "nudge", lambda: nudges.append(Outbox.objects.count()))

    with transaction.atomic():
        record(UserDisabled(user_id=1))
        assert nudges == []
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(UserDisabled(user_id=2))
        raise ZeroDivisionError

    assert nudges == [1]


def test_event_is_recorded_while_redis_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Celery("nowhere", broker=f"redis+socket://{tmp_path}/nobody.sock", set_as_current=False)
    monkeypatch.setattr(nudge, "current_app", nowhere)

    with transaction.atomic():
        record(UserDisabled(user_id=1))
    nudge.send(nudge.DRAIN_TASK)

    assert rows() == [("user.disabled", {"user_id": 1})]
    assert "worker not nudged for outbox.tasks.drain" in caplog.text


def test_events_are_declared_once_under_distinct_names() -> None:
    declared = OutboxEvent.__subclasses__()

    assert len(EVENTS) == len(declared)
    assert set(EVENTS.values()) == set(declared)
    assert EVENTS["messages.stored"] is MessagesStored
