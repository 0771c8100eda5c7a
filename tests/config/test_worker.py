"""The worker process: a running scan delays no other task, and a stop aborts it immediately."""

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.utils import timezone

from chat.files.processing import EXAMINE_TASK
from chat.models import Attachment
from config.processes import commands
from outbox.models import Outbox
from outbox.nudge import DRAIN_TASK
from tests.chat.uploads import upload
from tests.factories import direct, draft, someone, store
from tests.servers import ROOT, database_url

WAIT_SECONDS = 60


class SilentScanner:
    """A scanner that never answers. `busy` is set when it gets a file, `disconnected` when its client disconnects."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.busy, self.disconnected = threading.Event(), threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self.listener, self.listener.accept()[0] as peer:
            self.busy.set()
            while peer.recv(4096):
                pass
            self.disconnected.set()


@contextmanager
def worker(**environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the worker as `script/server` does, on the test database; kill it at the end."""
    role, command = commands(Path(os.environ["PARLEY_VAR"]), web_processes=1)["worker"]
    name = settings.DATABASES["default"]["NAME"]
    variables = {**os.environ, "PARLEY_ROLE": role, "DATABASE_URL": database_url(name), **environ}
    process = subprocess.Popen(shlex.split(command)[1:], cwd=ROOT, env=variables, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` returns true: there is no event from another process to wait for."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture
def scanner() -> SilentScanner:
    return SilentScanner()


def due_file() -> Attachment:
    """Return the only file that is due for processing."""
    row = upload(someone())
    Attachment.objects.exclude(id=row.id).filter(status="scanning").update(due_at=timezone.now() + timedelta(days=1))
    return row


def test_outbox_is_drained_while_a_file_is_scanned(scanner: SilentScanner) -> None:
    row, ada = due_file(), someone()
    with worker(PARLEY_CLAMD=scanner.address):
        current_app.send_task(EXAMINE_TASK)
        assert scanner.busy.wait(WAIT_SECONDS), "the scan has not started"
        for _ in range(2 * current_app.conf.worker_concurrency):
            current_app.send_task(EXAMINE_TASK)
        store([draft(ada, direct(ada, someone()))])
        (row_id,) = Outbox.objects.order_by("-id").values_list("id", flat=True)[:1]
        current_app.send_task(DRAIN_TASK)

        wait_until(lambda: not Outbox.objects.filter(id=row_id).exists(), "the outbox waits behind the scan")

        assert not scanner.disconnected.is_set()
        assert Attachment.objects.get(id=row.id).status == "scanning"


def test_stopped_worker_aborts_its_scan_and_leaves_the_file_due(scanner: SilentScanner) -> None:
    row = due_file()
    with worker(PARLEY_CLAMD=scanner.address) as process:
        current_app.send_task(EXAMINE_TASK)
        assert scanner.busy.wait(WAIT_SECONDS), "the scan has not started"

        os.killpg(process.pid, signal.SIGTERM)

        assert process.wait(WAIT_SECONDS) == 0
        assert scanner.disconnected.is_set()
    row = Attachment.objects.get(id=row.id)
    assert row.status == "scanning" and row.due_at is not None
    assert row.due_at < timezone.now() + timedelta(seconds=60)


def test_file_tasks_have_their_own_queue() -> None:
    def queue_of(task: str) -> tuple[str, str]:
        queue = current_app.amqp.router.route({}, task)["queue"]
        return queue.name, queue.routing_key

    assert [queue_of(EXAMINE_TASK), queue_of(DRAIN_TASK)] == [("files", "files"), ("celery", "celery")]
