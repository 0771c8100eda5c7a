"""Celery's way into the outbox."""

from functools import partial
from typing import Any

from celery import shared_task
from django.conf import settings

from outbox import jobs
from outbox.drain import drain as drain_rows
from outbox.drain import due
from outbox.nudge import DRAIN_TASK, WORK_TASK, send
from outbox.reactions import STALE_SECONDS
from outbox.single_flight import SingleFlight

# A reaction that hangs holds one thread of the worker, and however often it is nudged, no second one.
_nudged, _by_clock = SingleFlight(), SingleFlight()
_flights: dict[str, SingleFlight] = {}


@shared_task(name=DRAIN_TASK)
def drain(*, by_clock: bool = False, **_: Any) -> int:
    """Turn recorded events into jobs and wake the reactions that have any; nudged after a commit, and by the clock.

    The clock takes only rows that nobody has nudged for in STALE_SECONDS. It would otherwise take those of a gateway that
    died after its commit before they are old enough to be published again.
    """
    if by_clock:
        return _by_clock.run(partial(_drain, older=STALE_SECONDS))
    return _nudged.run(_drain)


def _drain(*, older: float = 0) -> int:
    count = drain_rows(settings.REACTIONS, older=older)
    for reaction in due(settings.REACTIONS):
        send(WORK_TASK, [reaction.name], queue=reaction.queue)
    return count


@shared_task(name=WORK_TASK)
def work(name: str, **_: Any) -> int:
    """Do the jobs of a reaction that are due; sent by the drain, on the reaction's own queue."""
    (reaction,) = (each for each in settings.REACTIONS if each.name == name)
    return _flights.setdefault(name, SingleFlight()).run(partial(jobs.work, reaction))
