"""Celery's way into chat."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from chat.files import expiry, processing, scanning
from chat.messages import deletions


@shared_task(name="chat.tasks.purge_deleted")
def purge_deleted(**_: Any) -> int:
    """Purge texts that were deleted for everyone a day ago (K32); scheduled every hour."""
    return deletions.purge()


@shared_task(name=processing.EXAMINE_TASK)
def examine_attachments(**_: Any) -> int:
    """Examine the files that have arrived (F221); nudged by the end of an upload and by the clock."""
    return processing.process_due(scanning.scanner())


@worker_shutting_down.connect
def end_examination(**_: Any) -> None:
    """Let the worker end without waiting for a scanner: Celery waits for its tasks."""
    processing.stop()


@shared_task(name="chat.tasks.sweep_attachments")
def sweep_attachments(**_: Any) -> int:
    """Remove files whose time has come (F222); by the clock, every hour."""
    return expiry.sweep()
