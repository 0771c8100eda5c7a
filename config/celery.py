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
    """Return the default queue, the queue of files, and one queue for each reaction.

    Each queue needs its own routing key, or it gets the others' tasks too.
    """
    names = ("celery", "files", *(reaction.queue for reaction in reactions))
    return [Queue(name, routing_key=name) for name in names]


def threads(reactions: Sequence[Reaction]) -> int:
    """Return the number of threads: one for each scheduled task and each reaction, and one for a second drain.

    A thread starts, and opens its database connection, only while all others are busy.
    """
    return len(SCHEDULE) + len(reactions) + 1


app = Celery("parley")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.conf.worker_pool, app.conf.worker_concurrency = "threads", threads(REACTIONS)
# A worker without options consumes all queues.
app.conf.task_queues = queues(REACTIONS)
app.conf.task_routes = {name: {"queue": "files"} for name in FILES}
app.autodiscover_tasks()
