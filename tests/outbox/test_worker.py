"""The worker as a process, with a reaction that hangs: it holds one thread, and delays no other reaction."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from config.schedule import SCHEDULE
from outbox.models import Job, Outbox
from outbox.nudge import DRAIN_TASK
from outbox.reactions import STALE_SECONDS
from tests.clients import connected
from tests.factories import direct, draft, someone, store
from tests.servers import ROOT, Server, database_url

WAIT_SECONDS = 60


@contextmanager
def worker(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the worker on the test's database, with a reaction that hangs until PORT's side hangs up; killed at the end."""
    variables = {
        **os.environ,
        "PARLEY_ROLE": "worker",
        "DATABASE_URL": database_url(settings.DATABASES["default"]["NAME"]),
    }
    command = [sys.executable, "-m", "tests.outbox.worker", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=variables, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], what: str) -> None:
    """Poll another process's doings; there is no event to wait for."""
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def jobs_of(reaction: str) -> int:
    return Job.objects.filter(reaction=reaction).count()


async def test_hanging_reaction_delays_no_republishing(server: Server) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    Outbox.objects.all().delete()
    with socket.create_server(("127.0.0.1", 0)) as listener, worker(listener.getsockname()[1]):
        listener.settimeout(WAIT_SECONDS)
        store([draft(ada, chat, "makes it hang")])
        current_app.send_task(DRAIN_TASK)
        peer, _ = listener.accept()
        with peer:
            async with connected(server, bob) as client:
                # Stored, and published by nobody, as by a gateway that died after its commit.
                with transaction.atomic():  # a nudge of before must not meet the row while it is fresh
                    store([draft(ada, chat, "unpublished")])
                    Outbox.objects.update(created_at=timezone.now() - timedelta(seconds=STALE_SECONDS + 1))
                for _ in range(3 * current_app.conf.worker_concurrency):
                    current_app.send_task(DRAIN_TASK, kwargs=SCHEDULE["drain-outbox"]["kwargs"])

                message = (await client.expect("message.new"))["message"]

            assert message["content"] == "unpublished"
            assert (jobs_of("hanging"), Outbox.objects.count()) == (2, 0), "the hanging one's second job waits"
            listener.settimeout(0.1)
            with pytest.raises(TimeoutError):
                listener.accept()
        listener.settimeout(WAIT_SECONDS)
        with listener.accept()[0]:
            until(lambda: jobs_of("hanging") == 1, "the first job is not done")
