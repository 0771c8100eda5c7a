"""The jobs of one reaction: claimed, run, and deleted in one transaction; retried by the ladder; dead after a day.

A job may run twice: a worker that dies after the reaction has run, and before the commit, leaves it to the next.
"""

import logging
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from django.db import connection, transaction

from outbox.events import EVENTS
from outbox.reactions import Reaction

logger = logging.getLogger(__name__)
BATCH = 500
# F65: seconds until the next attempt, by the number of failures; the last one repeats. Each varies by JITTER, so that jobs
# that failed together, because something was unavailable, do not come back together.
LADDER = (1, 5, 30, 300, 3600)
JITTER = 0.1
# A job is dead at this failure: after the four short waits (336 s) and 24 hours.
MOST_ATTEMPTS = 29

# Locked jobs belong to another worker. Index: job_due.
CLAIM = """
SELECT id, event, keys, attempts FROM outbox_job
WHERE reaction = %(reaction)s AND dead_at IS NULL AND available_at <= now()
ORDER BY available_at, id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""
# Index: the primary key.
DONE = "DELETE FROM outbox_job WHERE id = ANY (%(ids)s)"
# Not now(), which is when the transaction began: the reaction may have taken long to fail. Index: the primary key.
FAILED = """
UPDATE outbox_job
SET attempts = attempts + 1, error = %(error)s,
    dead_at = CASE WHEN attempts + 1 >= %(most)s THEN clock_timestamp() END,
    available_at = clock_timestamp() + make_interval(secs =>
        (%(ladder)s::float[])[LEAST(attempts + 1, cardinality(%(ladder)s::float[]))]
        * (1 - %(jitter)s + 2 * %(jitter)s * random()))
WHERE id = ANY (%(ids)s)
RETURNING id, attempts, dead_at IS NOT NULL
"""


class Claim(NamedTuple):
    """A job that this transaction has locked; `keys` is JSON."""

    id: int
    event: str
    keys: str
    attempts: int


def work(reaction: Reaction) -> int:
    """Do the jobs of a reaction that are due; returns the number that are done."""
    done = 0
    while True:
        with transaction.atomic():
            jobs = _claim(reaction)
            if not jobs:
                return done
            done += sum(_run(reaction, group) for group in _groups(jobs))


def _claim(reaction: Reaction) -> list[Claim]:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"reaction": reaction.name, "batch": BATCH})
        return [Claim(*row) for row in cursor.fetchall()]


def _groups(jobs: Sequence[Claim]) -> list[list[Claim]]:
    """Return the jobs in groups that are run at once: all new ones together, and each that has failed before by itself, so
    that one that always fails keeps no other from being done.
    """
    new = [job for job in jobs if not job.attempts]
    return [*([new] if new else []), *([job] for job in jobs if job.attempts)]


def _run(reaction: Reaction, jobs: Sequence[Claim]) -> int:
    """Run the reaction for these jobs; returns how many of them are done: all, or none."""
    ids = [job.id for job in jobs]
    try:
        with transaction.atomic():
            reaction.function()([msgspec.json.decode(job.keys, type=EVENTS[job.event]) for job in jobs])
    except Exception as fault:
        logger.exception("reaction %s failed for %s events, tried again later", reaction.name, len(jobs))
        _retry_later(reaction, ids, error_of(fault))
        return 0
    with connection.cursor() as cursor:
        cursor.execute(DONE, {"ids": ids})
    return len(jobs)


def _retry_later(reaction: Reaction, ids: Sequence[int], error: str) -> None:
    values: dict[str, Any] = {
        "ids": ids,
        "error": error,
        "most": MOST_ATTEMPTS,
        "ladder": list(LADDER),
        "jitter": JITTER,
    }
    with connection.cursor() as cursor:
        cursor.execute(FAILED, values)
        for id_, attempts, dead in cursor.fetchall():
            if dead:
                logger.error("job %s of reaction %s is dead after %s attempts: %s", id_, reaction.name, attempts, error)


def error_of(fault: BaseException) -> str:
    """Return an exception's class and the innermost place of our code, as `RuntimeError at chat/republish.py:40`.

    Its text is left out: it may quote what people wrote.
    """
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if "site-packages" not in frame.filename]
    where = "/".join(frames[-1].filename.rsplit("/", 2)[-2:]) if frames else "?"
    return f"{type(fault).__qualname__} at {where}:{frames[-1].lineno if frames else 0}"[:200]
