"""The Celery application of worker and beat: one process on threads, two queues (docs/decisions/0010-worker-on-threads.md)."""

import os

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.schedule import FILES, SCHEDULE

# One for each task of the clock, and two that are the outbox's. A thread is made, and its connection to the database
# opened, only while all others are busy.
THREADS = len(SCHEDULE) + 2

app = Celery("parley")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.conf.worker_pool, app.conf.worker_concurrency = "threads", THREADS
# A worker that is told nothing else takes from both. Without a key of its own a queue would get the other's tasks too.
app.conf.task_queues = [Queue(name, routing_key=name) for name in ("celery", "files")]
app.conf.task_routes = {name: {"queue": "files"} for name in FILES}
app.autodiscover_tasks()
