"""Wakes the worker for a task; knows tasks by their names alone."""

import logging
import threading
import time
from collections.abc import Sequence

from celery import current_app

logger = logging.getLogger(__name__)
DRAIN_TASK = "outbox.tasks.drain"
WORK_TASK = "outbox.tasks.work"
NUDGE_SECONDS = 0.25
EXPIRES_SECONDS = 60


class Nudger:
    """Wakes the worker for a task at once, then at most every 250 ms, from its own thread: Celery's publish may block."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def nudge(self) -> None:
        """Ask for a wake-up; returns at once."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=f"nudge-{self._task}", daemon=True)
            self._thread.start()
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            send(self._task)
            time.sleep(NUDGE_SECONDS)


def send(task: str, arguments: Sequence[str] = (), *, queue: str | None = None) -> None:
    """Send a task to the worker once; a failure is logged, because the clock sends it again. Blocks; never raises."""
    try:
        current_app.send_task(task, arguments, queue=queue, retry=False, expires=EXPIRES_SECONDS)
    except Exception as fault:
        logger.warning("worker not nudged for %s (%s)", task, type(fault).__name__)


_nudger = Nudger(DRAIN_TASK)


def nudge() -> None:
    """Have the outbox drained soon. From any thread; never blocks, never raises."""
    _nudger.nudge()
