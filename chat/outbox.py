"""What follows a stored message, without fail: rows written with it, worked off by Celery, gone when all is done.

A gateway nudges the worker right after a commit; a beat job does so anyway, and for rows that are older than a few
seconds it first tells the members again: their gateway may have died between commit and publish. A fact may arrive twice.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connection, transaction

from chat.messages import feed
from gateway import publish

logger = logging.getLogger(__name__)
STALE_SECONDS = 5
BATCH = 500
# F65: tries again after 1 s, 5 s, 30 s, 5 min, then every hour.
LADDER = (1, 5, 30, 300, 3600)

# Index: the primary key. Locked rows belong to another worker.
CLAIM = """
SELECT id, event, conversation_id, from_seq, to_seq, pending, attempts, created_at < now() - make_interval(secs => %(stale)s)
FROM chat_outbox WHERE available_at <= now()
ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""
DONE = "DELETE FROM chat_outbox WHERE id = ANY (%(ids)s)"
LATER = """
UPDATE chat_outbox SET pending = %(pending)s, attempts = attempts + 1,
       available_at = now() + make_interval(secs => %(wait)s)
WHERE id = %(id)s
"""

Reactions = Mapping[str, Sequence[str]]
Run = Callable[[str, list[dict[str, Any]]], None]


def drain(reactions: Reactions, run: Run) -> int:
    """Work off what is due; returns the number of rows that are done. `run` executes a task by name with its events."""
    done = 0
    while True:
        with transaction.atomic():
            rows = _claim()
            if not rows:
                return done
            done += _work(rows, reactions, run)


def _claim() -> list[dict[str, Any]]:
    names = ("id", "event", "conversation_id", "from_seq", "to_seq", "pending", "attempts", "stale")
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"batch": BATCH, "stale": STALE_SECONDS})
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _work(rows: list[dict[str, Any]], reactions: Reactions, run: Run) -> int:
    left: dict[int, list[str]] = {row["id"]: [] for row in rows}
    for row in rows:
        if row["stale"] and row["pending"] is None and row["event"] == "messages.stored":
            _tell_again(row)
    for name in sorted({name for row in rows for name in _wanted(row, reactions)}):
        for mine in _together([row for row in rows if name in _wanted(row, reactions)]):
            if not _run_one(name, mine, run):
                for row in mine:
                    left[row["id"]].append(name)
    with connection.cursor() as cursor:
        cursor.execute(DONE, {"ids": [id_ for id_, pending in left.items() if not pending]})
        for row in rows:
            if left[row["id"]]:
                wait = LADDER[min(row["attempts"], len(LADDER) - 1)]
                cursor.execute(LATER, {"id": row["id"], "pending": left[row["id"]], "wait": wait})
    return sum(not pending for pending in left.values())


def _wanted(row: dict[str, Any], reactions: Reactions) -> Sequence[str]:
    return row["pending"] if row["pending"] is not None else reactions.get(row["event"], ())


def _together(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows in groups that are run at once: all that are new, and each that has failed before by itself, so that
    one that always fails keeps no other from being done.
    """
    new = [row for row in rows if not row["attempts"]]
    return [*([new] if new else []), *([row] for row in rows if row["attempts"])]


def _run_one(name: str, rows: list[dict[str, Any]], run: Run) -> bool:
    keys = ("event", "conversation_id", "from_seq", "to_seq")
    try:
        with transaction.atomic():
            run(name, [{key: row[key] for key in keys} for row in rows])
    except Exception:
        logger.exception("outbox: %s failed for %s events, tried again later", name, len(rows))
        return False
    return True


def _tell_again(row: dict[str, Any]) -> None:
    """Tell the members; where that fails they find the gap by themselves, and the rest of the outbox goes on."""
    try:
        with transaction.atomic():
            for event in feed.by_seq(row["conversation_id"], row["from_seq"], row["to_seq"]):
                publish.to_conversation(event)
    except Exception:
        logger.exception("outbox: conversation %s was not told again", row["conversation_id"])
