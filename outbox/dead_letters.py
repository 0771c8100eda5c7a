"""Dead jobs (F67): those that failed for a day. They are kept until an operator replays or discards them."""

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from outbox.models import Job
from outbox.nudge import nudge


def dead_jobs(reaction: str | None = None) -> QuerySet[Job]:
    """Return the dead jobs, of one reaction or of all, the first one first. Index: job_dead."""
    dead = Job.objects.filter(dead_at__isnull=False)
    return (dead.filter(reaction=reaction) if reaction else dead).order_by("id")


def replay(jobs: QuerySet[Job]) -> int:
    """Have those of these jobs that are dead tried again now, from the start of the ladder; returns how many.

    They count as failed once, so that each is run by itself and one that still fails holds up no new job.
    """
    with transaction.atomic():
        count = jobs.filter(dead_at__isnull=False).order_by().update(
            dead_at=None, attempts=1, available_at=Now(), error=""
        )  # fmt: skip
        transaction.on_commit(nudge)
    return count


def discard(jobs: QuerySet[Job]) -> int:
    """Delete those of these jobs that are dead, undone; returns how many."""
    return jobs.filter(dead_at__isnull=False).order_by().delete()[0]
