"""Celery's way into receipts."""

from typing import Any

from celery import shared_task

from receipts import partitions


@shared_task(name="receipts.tasks.keep_log")
def keep_log(**_: Any) -> int:
    """Make the log's next partitions and drop expired ones; by the clock."""
    partitions.make_upcoming()
    return partitions.drop_expired()
