"""Reads of the receipt log for tests, and changes to it that only a superuser can make."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from django.db import connection

from receipts.models import Partition, Transition

PER_MESSAGE = "SELECT seq, recipient_id, state FROM receipts_per_message WHERE conversation_id = %s ORDER BY 1, 2, 3"


def log_ranges(chat: int) -> list[tuple[int, int, int, int, int]]:
    """Return the log rows of a conversation as (user, device, state, from, to), in the order of writing."""
    rows = Transition.objects.filter(conversation_id=chat).order_by("marked_at", "user_id", "device_id", "state")
    return list(rows.values_list("user_id", "device_id", "state", "from_seq", "to_seq"))


def log_by_message(chat: int) -> list[tuple[int, int, str]]:
    """Return the rows of the view `receipts_per_message` as (seq, recipient, state)."""
    with connection.cursor() as cursor:
        cursor.execute(PER_MESSAGE, [chat])
        return list(cursor.fetchall())


@contextmanager
def without_triggers() -> Iterator[Any]:
    """Yield a cursor without triggers, as a superuser may have one."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield cursor
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")


def expire_rows(chat: int, day: date) -> Partition:
    """Move the log rows of a conversation into the partition of a past day, as if they had expired then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT receipts_make_partition(%s)", [day])
    with without_triggers() as cursor:
        cursor.execute(
            "UPDATE receipts_log SET expires_at = %(day)s, expires_on = %(day)s, hash = receipts_hash(previous_hash,"
            " previous_expires_on, conversation_id, user_id, device_id, state, n, from_seq, to_seq, at, %(day)s)"
            " WHERE conversation_id = %(chat)s",
            {"day": day, "chat": chat},
        )
        cursor.execute(
            "UPDATE receipts_lane l SET expires_at = r.expires_at, expires_on = r.expires_on, hash = r.hash"
            " FROM receipts_log r WHERE r.conversation_id = l.conversation_id AND r.user_id = l.user_id"
            " AND r.device_id = l.device_id AND r.state = l.state AND r.n = l.n AND l.conversation_id = %s",
            [chat],
        )
    return Partition.objects.get(from_on__lte=day, until_on__gt=day)
