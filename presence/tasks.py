"""Celery's way into presence."""

from typing import Any

from celery import shared_task

from presence import last_seen


@shared_task(name="presence.tasks.keep_last_seen")
def keep_last_seen(**_: Any) -> int:
    """Write the last seen of devices to their rows; by the clock."""
    return last_seen.save()
