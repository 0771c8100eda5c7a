"""Open connections as Redis knows them: how many each user has (F289, F396), and what resumes a lost one (F80).

Without Redis the cap holds within one process only, and clients sync instead of resuming.
"""

import logging
import time
from typing import Any

import msgspec
from django.conf import settings
from redis import RedisError

from gateway.connection import Connection
from gateway.frames import Session
from gateway.redis_clients import loop_client

logger = logging.getLogger(__name__)
TTL = 120


class Resume(msgspec.Struct, array_like=True):
    """The state that `?resume=` restores. `since` is the Unix time up to which the client has received everything.

    `watching` maps the users whose presence it follows to the end of each subscription; `active_at` is the Unix time of
    the last sign of a person; `connection` is the id of the connection to resume.
    """

    user_id: int
    device_id: int
    since: float
    focus: int | None
    watching: dict[int, float] = {}
    active_at: float = 0.0
    connection: int = 0


async def register(connection: Connection, *, replaced: int = 0) -> list[int]:
    """Register a new connection, in place of the one that it resumes (`replaced`, an id; 0 for none).

    Returns the ids of the user's oldest connections above the cap; the caller closes them (4409).
    """
    key, now = f"sockets:{connection.session.user_id}", time.time()
    try:
        async with loop_client().pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(key, 0, now - TTL)
            pipe.zrem(key, str(replaced))
            pipe.zadd(key, {str(connection.id): now})
            pipe.expire(key, TTL)
            _save(pipe, connection, settings.LIMITS.resume_window + TTL, only_unredeemed=False)
            pipe.zrange(key, 0, -1)
            members: list[bytes] = (await pipe.execute())[-1]
    except (RedisError, OSError) as fault:
        logger.warning("sockets: not registered (%s)", type(fault).__name__)
        return []
    # Ids are ordered by time: the lowest is the oldest.
    ids = sorted(int(member) for member in members)
    return ids[: max(0, len(ids) - settings.LIMITS.connections_per_user)]


async def refresh(connections: list[Connection]) -> None:
    """Refresh the records of open connections in Redis; called every third of TTL by `connection_checks`."""
    now = time.time()
    for start in range(0, len(connections), 500):
        async with loop_client().pipeline(transaction=False) as pipe:
            for connection in connections[start : start + 500]:
                key = f"sockets:{connection.session.user_id}"
                pipe.zadd(key, {str(connection.id): now}, xx=True)
                pipe.expire(key, TTL)
                _save(pipe, connection, settings.LIMITS.resume_window + TTL)
            await pipe.execute()


async def unregister(connection: Connection) -> None:
    """Free the place of a closed connection, and start its resume window."""
    try:
        async with loop_client().pipeline(transaction=False) as pipe:
            pipe.zrem(f"sockets:{connection.session.user_id}", str(connection.id))
            _save(pipe, connection, max(1, settings.LIMITS.resume_window))
            await pipe.execute()
    except (RedisError, OSError) as fault:
        logger.warning("sockets: resume not saved (%s)", type(fault).__name__)


def _save(pipe: Any, connection: Connection, seconds: int, *, only_unredeemed: bool = True) -> None:
    """Store a connection's resume record for some seconds; if `only_unredeemed`, only where it is still in Redis."""
    if connection.token:
        session = connection.session
        active_at = time.time() - (time.monotonic() - connection.active_at)
        record = Resume(
            session.user_id,
            session.device_id,
            connection.received_until(),
            connection.focus,
            connection.watching,
            active_at,
            connection.id,
        )
        pipe.set(f"resume:{connection.token}", msgspec.msgpack.encode(record), ex=seconds, xx=only_unredeemed)


async def redeem_resume_token(token: str, session: Session) -> Resume | None:
    """Redeem a resume token, once. Return None if it is unknown, expired, or of another user or device (F81)."""
    try:
        raw: Any = await loop_client().getdel(f"resume:{token}")
    except (RedisError, OSError):
        return None
    if raw is None:
        return None
    record = msgspec.msgpack.decode(raw, type=Resume)
    return record if (record.user_id, record.device_id) == (session.user_id, session.device_id) else None
