"""The outbox: worked off without fail, by any number of workers, after failures and crashes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from threading import Barrier
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import blocks
from chat import outbox
from chat.messages import feed
from chat.models import Message, Outbox
from gateway.bus import Event
from tests.chat import rows
from tests.chat.sessions import WAIT_SECONDS, at_once
from tests.factories import direct, draft, say_many, someone, store
from tests.servers import ROOT, database_url

REACTIONS = {"messages.stored": ("first", "second")}


@pytest.fixture(autouse=True)
def empty(told: list[Event]) -> Iterator[None]:
    """Begin without what other tests have left, and leave nothing that waits."""
    outbox.drain({}, run=lambda name, events: None)
    Outbox.objects.all().delete()
    told.clear()
    yield
    Outbox.objects.all().delete()


def a_chat_with(count: int) -> int:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    for _ in range(count):
        store([draft(ada, chat)])
    return chat


class Recorder:
    """Runs tasks by noting what they are given; those named `broken` fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.ran: list[tuple[str, list[dict[str, Any]]]] = []

    def __call__(self, name: str, events: list[dict[str, Any]]) -> None:
        self.ran.append((name, events))
        if name in self.broken:
            raise RuntimeError(f"{name} is broken")


def waits_of(chat: int) -> list[tuple[list[str] | None, int, float]]:
    """Return what is left to do: the tasks, the tries, and the seconds until the next one."""
    left = Outbox.objects.filter(conversation_id=chat).order_by("id")
    return [(row.pending, row.attempts, (row.available_at - timezone.now()).total_seconds()) for row in left]


def test_each_task_gets_all_that_happened_and_nothing_is_left() -> None:
    chat = a_chat_with(3)
    run = Recorder()

    done = outbox.drain(REACTIONS, run)

    assert done == 3
    assert [name for name, _ in run.ran] == ["first", "second"]
    assert [(e["event"], e["conversation_id"], e["from_seq"], e["to_seq"]) for e in run.ran[0][1]] == [
        ("messages.stored", chat, n, n) for n in (1, 2, 3)
    ]
    assert rows.outbox_of(chat) == []


def test_what_nothing_follows_is_done() -> None:
    chat = a_chat_with(1)

    assert outbox.drain({"messages.stored": ()}, Recorder("any")) == 1
    assert rows.outbox_of(chat) == []


def test_a_failing_task_climbs_the_ladder_alone_and_the_other_runs_once() -> None:
    chat = a_chat_with(1)
    run = Recorder("first")
    waits = []

    for _ in range(7):
        outbox.drain(REACTIONS, run)
        ((pending, attempts, wait),) = waits_of(chat)
        assert pending == ["first"]
        waits.append((attempts, round(wait)))
        Outbox.objects.filter(conversation_id=chat).update(available_at=timezone.now())
    run.broken.clear()
    outbox.drain(REACTIONS, run)

    assert waits == [(1, 1), (2, 5), (3, 30), (4, 300), (5, 3600), (6, 3600), (7, 3600)], "F65"
    assert [name for name, _ in run.ran].count("second") == 1
    assert waits_of(chat) == []


def test_a_row_that_waits_holds_up_no_other() -> None:
    waiting = a_chat_with(1)
    outbox.drain(REACTIONS, Recorder("first"))
    chat = a_chat_with(1)
    run = Recorder()

    assert outbox.drain(REACTIONS, run) == 1
    assert {e["conversation_id"] for _, events in run.ran for e in events} == {chat}
    assert len(waits_of(waiting)) == 1


def test_one_event_that_always_fails_holds_up_none_that_came_with_it() -> None:
    poison, chat = a_chat_with(1), a_chat_with(3)
    ran: list[int] = []

    def run(name: str, events: list[dict[str, Any]]) -> None:
        if poison in [event["conversation_id"] for event in events]:
            raise RuntimeError
        ran.extend(event["from_seq"] for event in events)

    outbox.drain({"messages.stored": ("only",)}, run)
    Outbox.objects.update(available_at=timezone.now())
    outbox.drain({"messages.stored": ("only",)}, run)

    assert sorted(ran) == [1, 2, 3]
    assert [attempts for _, attempts, _ in waits_of(poison)] == [2]
    assert waits_of(chat) == []


def test_a_failing_tasks_writes_are_taken_back_and_the_others_kept() -> None:
    chat = a_chat_with(1)

    def run(name: str, events: list[dict[str, Any]]) -> None:
        column = {"first": "data", "second": "traceparent"}[name]
        Message.objects.filter(conversation_id=chat).update(**{column: name})
        if name == "first":
            raise RuntimeError

    outbox.drain(REACTIONS, run)

    assert Message.objects.filter(conversation_id=chat).values_list("data", "traceparent")[0] == (None, "second")


def test_two_workers_at_once_share_the_work_and_do_none_of_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 10)
    chat = a_chat_with(25)
    both_have_claimed = Barrier(2)
    seen: list[tuple[int, int]] = []

    def work() -> int:
        first = True

        def run(name: str, events: list[dict[str, Any]]) -> None:
            nonlocal first
            if first:
                first = False
                both_have_claimed.wait(WAIT_SECONDS)
            seen.extend((e["from_seq"], e["to_seq"]) for e in events)

        return outbox.drain({"messages.stored": ("only",)}, run)

    done = at_once([work, work])

    assert sum(done) == 25
    assert min(done) > 0
    assert sorted(seen) == [(n, n) for n in range(1, 26)]
    assert rows.outbox_of(chat) == []


def test_a_worker_killed_in_the_middle_leaves_its_work_to_the_next() -> None:
    chat = a_chat_with(2)
    code = """
import django; django.setup()
from chat import outbox
def run(name, events):
    print("working", flush=True)
    input()
outbox.drain({"messages.stored": ("only",)}, run)
"""
    variables = {**os.environ, "DATABASE_URL": database_url(settings.DATABASES["default"]["NAME"])}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**variables, "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "working\n"
        assert outbox.drain({"messages.stored": ("only",)}, Recorder()) == 0, "its rows are claimed"
        worker.send_signal(signal.SIGKILL)
        worker.wait(WAIT_SECONDS)
    until_unlocked(chat)
    run = Recorder()

    assert outbox.drain({"messages.stored": ("only",)}, run) == 2
    assert [e["from_seq"] for e in run.ran[0][1]] == [1, 2]


def until_unlocked(chat: int) -> None:
    """Wait until PostgreSQL has noticed the end of the other session; this one waits for its lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM chat_outbox WHERE conversation_id = %s FOR UPDATE", [chat])


def make_old(chat: int) -> None:
    long_ago = timezone.now() - timedelta(seconds=outbox.STALE_SECONDS + 1)
    Outbox.objects.filter(conversation_id=chat).update(created_at=long_ago)


def messages_told(told: list[Event]) -> list[tuple[int, str]]:
    return [(e.seq, msgspec.json.decode(e.frame)["payload"]["message"]["content"]) for e in told if e.seq]


def test_only_stale_rows_are_told_again_and_only_once(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone()
    stale, fresh = direct(ada, bob), direct(ada, someone())
    say_many(ada, stale, 3)
    say_many(ada, fresh, 1)
    make_old(stale)

    outbox.drain(REACTIONS, Recorder("first"))
    Outbox.objects.filter(conversation_id=stale).update(available_at=timezone.now())
    outbox.drain(REACTIONS, Recorder())

    assert messages_told(told) == [(1, "1"), (2, "2"), (3, "3")]
    assert {e.conversation_id for e in told if e.seq} == {stale}
    assert [e.rev for e in told if e.seq] == [2, 3, 4]


def test_what_cannot_be_told_again_stops_nothing(told: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    poison, chat = a_chat_with(1), a_chat_with(1)
    make_old(poison)
    make_old(chat)
    by_seq = feed.by_seq

    def fails(conversation_id: int, first: int, last: int) -> list[Event]:
        if conversation_id == poison:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return by_seq(conversation_id, first, last)

    monkeypatch.setattr(feed, "by_seq", fails)
    run = Recorder()

    outbox.drain(REACTIONS, run)

    assert [event.conversation_id for event in told if event.seq] == [chat]
    assert {e["conversation_id"] for _, events in run.ran for e in events} == {poison, chat}
    assert rows.outbox_of(chat) == rows.outbox_of(poison) == []


def test_what_is_told_again_still_spares_who_blocks(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, 1)
    make_old(chat)

    outbox.drain({}, Recorder())

    (event,) = [e for e in told if e.seq]
    assert bob.id in event.skip_users


def test_what_was_hidden_stays_so_after_the_block_has_ended(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    blocks.block(bob.id, ada.id)
    say_many(ada, chat, 1)
    blocks.unblock(bob.id, ada.id)
    make_old(chat)

    outbox.drain({}, Recorder())

    assert all(bob.id in e.skip_users for e in told if e.seq)


def test_a_row_whose_messages_are_gone_stops_nothing(told: list[Event]) -> None:
    gone, chat = a_chat_with(1), a_chat_with(1)
    Message.objects.filter(conversation_id=gone).delete()
    make_old(gone)
    run = Recorder()

    outbox.drain(REACTIONS, run)

    assert chat in {e["conversation_id"] for _, events in run.ran for e in events}
    assert rows.outbox_of(chat) == []
