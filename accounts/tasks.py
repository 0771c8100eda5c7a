"""Celery tasks of accounts."""

from typing import Any

from celery import shared_task

from accounts import expiry


@shared_task(name="accounts.tasks.sweep_expired")
def sweep_expired(**_: Any) -> int:
    """Remove expired refresh tokens and web sessions; runs every hour."""
    return expiry.sweep()
