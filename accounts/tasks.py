"""Celery's way into accounts."""

from typing import Any

from celery import shared_task

from accounts import expiry


@shared_task(name="accounts.tasks.sweep_expired")
def sweep_expired(**_: Any) -> int:
    """Remove tokens and web sessions whose time is over; by the clock, every hour."""
    return expiry.sweep()
