"""The proof of the receipt log's hash chain: no row was altered, inserted or removed, and each follows its predecessor.

A row may be missing only from a partition that was dropped after its time, whatever else the register says.

The proof has a limit: a superuser of the database can rewrite log and lanes consistently, or remove a lane with all its
rows. The digest that `verify_receipts` prints, kept elsewhere, shows whether a later copy of that state is unchanged.
"""

from typing import NamedTuple

from django.db import connection

from gateway.ids import ConversationId, DeviceId, UserId

_DROPPED = """EXISTS (
        SELECT FROM receipts_partition p
        WHERE {0} >= p.from_on AND {0} < p.until_on
          AND p.until_on <= (p.dropped_at AT TIME ZONE 'UTC')::date AND p.dropped_at <= now())"""
_GONE, _HEAD_GONE = _DROPPED.format("r.previous_expires_on"), _DROPPED.format("l.expires_on")
# One statement, so that log and lanes are read at one moment. Index: log_key gives the order of the lanes.
FIND_BROKEN_ROW = f"""
WITH ordered AS (
    SELECT r.*, lag(r.n) OVER lane AS before_n, lag(r.hash) OVER lane AS before_hash
    FROM receipts_log r
    WINDOW lane AS (PARTITION BY r.conversation_id, r.user_id, r.device_id, r.state ORDER BY r.to_seq)
), judged AS (
    SELECT r.conversation_id, r.user_id, r.device_id, r.state, r.n, CASE
        WHEN r.hash <> receipts_hash(r.previous_hash, r.previous_expires_on, r.conversation_id, r.user_id, r.device_id,
                                     r.state, r.n, r.from_seq, r.to_seq, r.at, r.expires_at) THEN 'was altered'
        WHEN r.expires_on <> (r.expires_at AT TIME ZONE 'UTC')::date THEN 'was moved'
        WHEN r.before_n = r.n - 1 AND r.previous_hash <> r.before_hash THEN 'does not follow the row before it'
        WHEN r.n > 1 AND r.before_n IS DISTINCT FROM r.n - 1 AND NOT {_GONE} THEN 'lacks the row before it'
        WHEN l.n IS NULL OR r.n > l.n THEN 'was put in' END AS fault
    FROM ordered r
    LEFT JOIN receipts_lane l ON l.conversation_id = r.conversation_id AND l.user_id = r.user_id
                             AND l.device_id = r.device_id AND l.state = r.state
    UNION ALL
    SELECT l.conversation_id, l.user_id, l.device_id, l.state, l.n, CASE
        WHEN l.hash <> receipts_hash(l.previous_hash, l.previous_expires_on, l.conversation_id, l.user_id, l.device_id,
                                     l.state, l.n, l.from_seq, l.to_seq, l.at, l.expires_at)
          OR l.expires_on <> (l.expires_at AT TIME ZONE 'UTC')::date THEN 'was altered in its lane'
        WHEN r.n IS NULL AND NOT {_HEAD_GONE} THEN 'is missing' END
    FROM receipts_lane l
    LEFT JOIN receipts_log r ON r.conversation_id = l.conversation_id AND r.user_id = l.user_id
                            AND r.device_id = l.device_id AND r.state = l.state AND r.to_seq = l.to_seq
                            AND r.expires_on = l.expires_on AND r.n = l.n AND r.hash = l.hash
)
SELECT conversation_id, user_id, device_id, state, n, fault FROM judged WHERE fault IS NOT NULL
ORDER BY conversation_id, user_id, device_id, state, n LIMIT 1
"""  # noqa: S608
MEASURE_EXTENT = """
SELECT (SELECT count(*) FROM receipts_log), count(*),
       encode(sha256(COALESCE(
           string_agg(hash, ''::bytea ORDER BY conversation_id, user_id, device_id, state), '')), 'hex')
FROM receipts_lane
"""


class BrokenRow(NamedTuple):
    """The first row that breaks the chain, and how."""

    conversation_id: ConversationId
    user_id: UserId
    device_id: DeviceId
    state: int
    n: int
    fault: str


class Extent(NamedTuple):
    """What the chain covers; `digest` is the hexadecimal SHA-256 of the heads of all lanes."""

    rows: int
    lanes: int
    digest: str


def find_broken_row() -> BrokenRow | None:
    """Return the first row, by conversation, user, device, state, number, that breaks the chain. Reads the whole log."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_BROKEN_ROW)
        row = cursor.fetchone()
    return BrokenRow(*row) if row else None


def measure_extent() -> Extent:
    """Return the size and digest of the log."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE_EXTENT)
        return Extent(*cursor.fetchone())
