"""The drain: turns recorded events into one job for each reaction. It runs no reaction and holds no lock after it."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from outbox.reactions import STALE_SECONDS, Reaction

BATCH = 2000

# One statement, one commit: a row is either still there or has all of its jobs. Locked rows belong to another worker.
# Index: the primary key.
DRAIN = """
WITH due AS MATERIALIZED (
    SELECT id FROM chat_outbox WHERE created_at <= now() - make_interval(secs => %(older)s)
    ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM chat_outbox o USING due WHERE o.id = due.id
    RETURNING o.id, o.event, o.created_at,
              COALESCE(o.data, jsonb_build_object('conversation_id', o.conversation_id,
                                                  'from_seq', o.from_seq, 'to_seq', o.to_seq)) AS keys
), made AS (
    INSERT INTO outbox_job (reaction, event, keys, created_at)
    SELECT r.name, t.event, t.keys, t.created_at
    FROM taken t
    JOIN unnest(%(names)s::text[], %(events)s::text[], %(late_only)s::bool[]) AS r (name, event, late_only)
      ON r.event = t.event AND (NOT r.late_only OR t.created_at <= now() - make_interval(secs => %(stale)s))
    ORDER BY t.id
)
SELECT count(*) FROM taken
"""
# Index: job_due.
DUE = """
SELECT name FROM unnest(%(names)s::text[]) AS name
WHERE EXISTS (SELECT FROM outbox_job j WHERE j.reaction = name AND j.dead_at IS NULL AND j.available_at <= now())
"""


def drain(reactions: Sequence[Reaction], *, older: float = 0) -> int:
    """Turn all rows of at least so many seconds of age into jobs, one statement for each BATCH of them; returns the number
    of rows.
    """
    rows = [(reaction.name, event, reaction.late_only) for reaction in reactions for event in reaction.events]
    names, events, late_only = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    values: dict[str, Any] = {
        "names": names,
        "events": events,
        "late_only": late_only,
        "stale": STALE_SECONDS,
        "older": older,
        "batch": BATCH,
    }
    drained: int = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(DRAIN, values)
            count = cursor.fetchone()[0]
            drained += count
            if count < BATCH:
                return drained


def due(reactions: Sequence[Reaction]) -> list[Reaction]:
    """Return the reactions that have jobs to do now, new ones or retries."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"names": [reaction.name for reaction in reactions]})
        names = {name for (name,) in cursor.fetchall()}
    return [reaction for reaction in reactions if reaction.name in names]
