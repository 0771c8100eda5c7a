"""Several database sessions at once: each job on a thread, with a connection of its own that ends with it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

R = TypeVar("R")
WAIT_SECONDS = 30


def at_once(jobs: Sequence[Callable[[], R]]) -> list[R]:
    """Begin all jobs at the same moment and return their results in order; the first fault is raised."""
    start = Barrier(len(jobs))

    def run(job: Callable[[], R]) -> R:
        start.wait(WAIT_SECONDS)
        try:
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        running = [threads.submit(run, job) for job in jobs]
        return [job.result(WAIT_SECONDS) for job in running]


def until_somebody_waits() -> None:
    """Wait until another session waits for this one's lock; PostgreSQL has no event for it."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    with connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)")
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody came to wait")
