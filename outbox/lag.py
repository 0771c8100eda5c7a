"""How far the outbox is behind, for operators: `/metrics` and `manage.py outbox` show it."""

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

from django.db import connection

from outbox.reactions import Reaction

# Both tables are read whole: they are short unless something is wrong.
ROWS = "SELECT count(*), COALESCE(extract(epoch FROM now() - min(created_at)), 0)::float FROM chat_outbox"
JOBS = """
SELECT reaction,
       count(*) FILTER (WHERE dead_at IS NULL AND available_at <= now()),
       count(*) FILTER (WHERE dead_at IS NULL AND available_at > now()),
       count(*) FILTER (WHERE dead_at IS NOT NULL),
       COALESCE(extract(epoch FROM now() - min(available_at) FILTER (WHERE dead_at IS NULL AND available_at <= now())), 0)::float
FROM outbox_job GROUP BY reaction
"""


class Lag(NamedTuple):
    """The jobs of a reaction: due now, waiting for their next attempt, dead; and for how many seconds the oldest is due."""

    reaction: str
    due: int
    waiting: int
    dead: int
    seconds: float


class Backlog(NamedTuple):
    """The rows that are not drained yet and the age of the oldest in seconds, and how each reaction stands."""

    rows: int
    seconds: float
    reactions: list[Lag]


def backlog(reactions: Sequence[Reaction]) -> Backlog:
    """Return how far the outbox and each reaction is behind; one that has left the table is listed while it has jobs."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        rows, seconds = cursor.fetchone()
        cursor.execute(JOBS)
        lags = {lag.reaction: lag for lag in starmap(Lag, cursor.fetchall())}
    idle = {reaction.name: Lag(reaction.name, 0, 0, 0, 0.0) for reaction in reactions}
    return Backlog(rows, seconds, sorted((idle | lags).values()))
