"""Wakes the worker for the outbox and for files; knows its tasks by their names alone."""

import logging
import threading
import time

from celery import current_app

logger = logging.getLogger(__name__)
DRAIN_TASK = "chat.tasks.drain_outbox"
EXAMINE_TASK = "chat.tasks.examine_attachments"
NUDGE_SECONDS = 0.25


class Nudger:
    """Wakes the worker for a task at once, then at most every 250 ms, from a thread of its own: Celery's publish may block."""

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
            try:
                current_app.send_task(self._task, retry=False, expires=60)
            except Exception as fault:
                # The beat job works off what nobody was told of.
                logger.warning("worker not nudged for %s (%s)", self._task, type(fault).__name__)
            time.sleep(NUDGE_SECONDS)


_nudger = Nudger(DRAIN_TASK)
_examiner = Nudger(EXAMINE_TASK)


def nudge() -> None:
    """Have the outbox worked off soon. From any thread; never blocks, never raises."""
    _nudger.nudge()


def nudge_examination() -> None:
    """Have the files that have arrived examined soon, as `nudge` does."""
    _examiner.nudge()
