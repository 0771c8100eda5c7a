"""Jobs: done without fail, by any number of workers, after failures and crashes; dead after a day of failures."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from chat.models import Message
from outbox import jobs
from outbox.drain import drain
from outbox.events import MessagesStored, OutboxEvent
from outbox.models import Job
from outbox.reactions import Reaction
from tests.chat.sessions import WAIT_SECONDS, at_once
from tests.outbox.conftest import chat_with_messages
from tests.outbox.reactions import Calling, Recorder, calling
from tests.servers import ROOT, database_url


def make_due(reaction: Reaction) -> None:
    Job.objects.filter(reaction=reaction.name).update(available_at=timezone.now())


def seconds_until(job: Job) -> float:
    return (job.available_at - timezone.now()).total_seconds()


def seqs_of(events: Sequence[OutboxEvent]) -> list[int]:
    return [event.from_seq for event in events if isinstance(event, MessagesStored)]


def test_reaction_gets_all_new_events_at_once_and_no_job_is_left() -> None:
    chat = chat_with_messages(3)
    run = Recorder()
    only = calling("only", run)
    drain([only])

    assert jobs.work(only) == 3

    assert run.runs == [[MessagesStored(conversation_id=chat, from_seq=n, to_seq=n) for n in (1, 2, 3)]]
    assert not Job.objects.exists()


def test_failing_job_climbs_the_ladder_with_ten_percent_of_jitter() -> None:
    chat_with_messages(1)
    run = Recorder(broken=True)
    only = calling("only", run)
    drain([only])

    for attempts, wait in enumerate((1, 5, 30, 300, 3600, 3600, 3600), start=1):
        assert jobs.work(only) == 0
        job = Job.objects.get()
        assert job.attempts == attempts
        assert 0.9 * wait - 1 <= seconds_until(job) <= 1.1 * wait, "F65"
        make_due(only)
    run.broken = False

    assert jobs.work(only) == 1
    assert not Job.objects.exists()


def test_retries_that_failed_together_do_not_come_back_together() -> None:
    chat_with_messages(50)
    only = calling("only", Recorder(broken=True))
    drain([only])
    Job.objects.update(attempts=4)
    jobs.work(only)

    waits = [seconds_until(job) for job in Job.objects.all()]

    assert all(3230 < wait <= 3960 for wait in waits)
    assert max(waits) - min(waits) > 60


def test_job_that_waits_is_not_tried_before_its_time() -> None:
    chat_with_messages(1)
    run = Recorder(broken=True)
    only = calling("only", run)
    drain([only])
    jobs.work(only)
    run.broken = False

    assert jobs.work(only) == 0
    assert len(run.runs) == 1


def test_retries_run_in_the_order_of_their_times() -> None:
    chat_with_messages(3)
    run = Recorder()
    only = calling("only", run)
    drain([only])
    for seq, seconds in ((1, 10), (2, 30), (3, 20)):
        due = timezone.now() - timedelta(seconds=seconds)
        Job.objects.filter(keys__from_seq=seq).update(attempts=1, available_at=due)

    jobs.work(only)

    assert run.seqs == [2, 3, 1], "F66"


def test_failing_reaction_delays_no_other_reaction() -> None:
    chat_with_messages(1)
    broken, sound = Recorder(broken=True), Recorder()
    first, second = calling("first", broken), calling("second", sound)
    drain([first, second])

    assert [jobs.work(first), jobs.work(second), jobs.work(second)] == [0, 1, 0]

    assert len(sound.runs) == 1
    assert [job.reaction for job in Job.objects.all()] == ["first"]


def test_event_that_always_fails_delays_no_other_event() -> None:
    failing, chat = chat_with_messages(1), chat_with_messages(3)
    done: list[int] = []

    def run(events: Sequence[OutboxEvent]) -> None:
        if any(isinstance(event, MessagesStored) and event.conversation_id == failing for event in events):
            raise RuntimeError
        done.extend(seqs_of(events))

    only = calling("only", run)
    drain([only])
    assert jobs.work(only) == 0
    make_due(only)

    assert jobs.work(only) == 3
    assert sorted(done) == [1, 2, 3]
    assert [(job.keys["conversation_id"], job.attempts) for job in Job.objects.all()] == [(failing, 2)]
    assert chat != failing


def test_writes_of_a_failing_reaction_are_rolled_back_and_of_a_sound_one_committed() -> None:
    chat = chat_with_messages(1)
    message = Message.objects.filter(conversation_id=chat)

    def fails(events: Sequence[OutboxEvent]) -> None:
        message.update(data="first")
        raise RuntimeError

    first = calling("first", fails)
    second = calling("second", lambda events: message.update(traceparent="second"))
    drain([first, second])
    jobs.work(first)
    jobs.work(second)

    assert message.values_list("data", "traceparent")[0] == (None, "second")


def test_job_that_fails_for_a_day_is_dead_and_tried_no_more(caplog: pytest.LogCaptureFixture) -> None:
    chat_with_messages(1)
    run = Recorder(broken=True)
    only = calling("only", run)
    drain([only])
    waited = 0.0

    with caplog.at_level(logging.ERROR, logger="outbox.jobs"):
        for _ in range(jobs.MOST_ATTEMPTS):
            assert Job.objects.get().dead_at is None
            make_due(only)
            jobs.work(only)
            waited += seconds_until(Job.objects.get())
    make_due(only)
    jobs.work(only)

    job = Job.objects.get()
    assert (job.attempts, job.dead_at is not None) == (jobs.MOST_ATTEMPTS, True)
    assert len(run.runs) == jobs.MOST_ATTEMPTS
    assert 0.8 < (waited - 3600) / 86400 < 1.2, "a day between the first failure and the last"
    dead = [entry.getMessage() for entry in caplog.records if "dead" in entry.getMessage()]
    assert len(dead) == 1 and f"job {job.id} of reaction only" in dead[0]


def test_error_names_class_and_place_and_quotes_no_words() -> None:
    chat_with_messages(1)
    only = calling("only", Recorder(broken=True))
    drain([only])

    jobs.work(only)

    error = Job.objects.get().error
    assert error.startswith("RuntimeError at outbox/reactions.py:")
    assert "wrote" not in error


def test_two_workers_at_once_share_the_jobs_and_do_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 10)
    chat_with_messages(25)
    both_have_claimed = Barrier(2)
    seen: list[int] = []

    def one() -> Calling:
        first = True

        def run(events: Sequence[OutboxEvent]) -> None:
            nonlocal first
            if first:
                first = False
                both_have_claimed.wait(WAIT_SECONDS)
            seen.extend(seqs_of(events))

        return calling("only", run)

    drain([one()])

    done = at_once([lambda: jobs.work(one()), lambda: jobs.work(one())])

    assert sum(done) == 25
    assert min(done) > 0
    assert sorted(seen) == list(range(1, 26))
    assert not Job.objects.exists()


def test_killed_worker_leaves_its_jobs_to_the_next() -> None:
    chat_with_messages(2)
    run = Recorder()
    only = calling("only", run)
    drain([only])
    code = """
import django; django.setup()
from outbox import jobs
from tests.outbox.reactions import calling
def run(events):
    print("working", flush=True)
    input()
jobs.work(calling("only", run))
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
        assert jobs.work(only) == 0, "its jobs are claimed"
        worker.send_signal(signal.SIGKILL)
        worker.wait(WAIT_SECONDS)
    until_unlocked()

    assert jobs.work(only) == 2
    assert run.seqs == [1, 2]


def until_unlocked() -> None:
    """Wait until PostgreSQL has noticed the end of the other session; this one waits for its lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM outbox_job FOR UPDATE")
