"""The Celery application of worker and beat: one process on threads (docs/decisions/0010-worker-on-threads.md)."""

import os
from collections.abc import Sequence

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.reactions import REACTIONS
from config.schedule import FILES, SCHEDULE
from outbox.reactions import Reaction


def queues(reactions: Sequence[Reaction]) -> list[Queue]:
    """Return the queue of all tasks that have none of their own, that of files, and one for each reaction.

    Without a key of its own a queue would get the others' tasks too.
    """
    names = ("celery", "files", *(reaction.queue for reaction in reactions))
    return [Queue(name, routing_key=name) for name in names]


def threads(reactions: Sequence[Reaction]) -> int:
    """Return one for each task of the clock, one for each reaction, and one for a second drain.

    A thread is made, and its connection to the database opened, only while all others are busy.
    """
    return len(SCHEDULE) + len(reactions) + 1


app = Celery("parley")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.conf.worker_pool, app.conf.worker_concurrency = "threads", threads(REACTIONS)
# A worker that is told nothing else takes from all.
app.conf.task_queues = queues(REACTIONS)
app.conf.task_routes = {name: {"queue": "files"} for name in FILES}
app.autodiscover_tasks()
