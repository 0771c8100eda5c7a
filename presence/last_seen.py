"""Moves the last seen of devices from Redis to their rows, by the clock and never within a frame (F146, F153)."""

from collections.abc import Iterator
from typing import Any

from django.db import connection

from gateway.redis_clients import thread_client

MOST = 1000
# A time only moves forward, so a batch may run twice. Index: the key of device.
SAVE_SEEN = """
UPDATE accounts_device d SET last_seen_at = GREATEST(d.last_seen_at, to_timestamp(s.at))
FROM unnest(%(devices)s::bigint[], %(times)s::float8[]) AS s (device, at) WHERE d.id = s.device
"""
SAVE_SHOWN = """
UPDATE accounts_device d SET last_shown_at = GREATEST(d.last_shown_at, to_timestamp(s.at))
FROM unnest(%(devices)s::bigint[], %(times)s::float8[]) AS s (device, at) WHERE d.id = s.device
"""


def save() -> int:
    """Write `last_seen_at` and `last_shown_at` of the devices seen since the last run; return the number of updates.

    The times stay in Redis under another key until they are stored. Raises RedisError if Redis is unavailable.
    """
    return _save("presence:seen", SAVE_SEEN) + _save("presence:shown", SAVE_SHOWN)


def _save(key: str, statement: str) -> int:
    store, taken = thread_client(), f"{key}:taken"
    if not store.exists(taken):
        if not store.exists(key):
            return 0
        store.rename(key, taken)
    times_by_device: Any = store.hgetall(taken)
    for devices, times in _batches(sorted((int(device), float(at)) for device, at in times_by_device.items())):
        with connection.cursor() as cursor:
            cursor.execute(statement, {"devices": devices, "times": times})
    store.delete(taken)
    return len(times_by_device)


def _batches(rows: list[tuple[int, float]]) -> Iterator[tuple[list[int], list[float]]]:
    for start in range(0, len(rows), MOST):
        part = rows[start : start + MOST]
        yield [device for device, _ in part], [at for _, at in part]
