"""How many people somebody begins to write to within an hour: above a number they are slowed, and flagged (F241).

People are counted in direct chats, one a chat. This process remembers whom it has seen writing to whom; only a new pair,
or one that it has not counted for a minute, costs a round trip to Redis, where all processes count together. Where
Redis is unavailable nobody is counted.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from redis import RedisError

from gateway.ids import UserId
from gateway.redis_clients import loop_client, thread_client

logger = logging.getLogger(__name__)
Pair = tuple[int, int]  # user, direct conversation
HOUR = 3600
COUNTED_SECONDS = 60.0
KEPT = 100_000
# Records a conversation with the time of its last message, drops those older than an hour, and returns the number left.
SCRIPT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600)
redis.call('EXPIRE', KEYS[1], 3600)
return redis.call('ZCARD', KEYS[1])
"""

# For the staff to look at (Django's admin); one an hour is enough. Index: flag_of_user.
FLAG = """
INSERT INTO chat_flag (user_id, reason, detail, created_at)
SELECT flagged.id, 'reach', %s, now() FROM unnest(%s::bigint[]) AS flagged (id)
WHERE NOT EXISTS (
    SELECT FROM chat_flag f
    WHERE f.user_id = flagged.id AND f.reason = 'reach' AND f.created_at > now() - interval '1 hour')
RETURNING user_id
"""

_counted: dict[Pair, float] = {}
_over: dict[int, float] = {}


def uncounted(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that this process has not counted within the last minute."""
    now = time.monotonic()
    return [pair for pair in dict.fromkeys(pairs) if _counted.get(pair, 0.0) < now]


def is_slowed(user_id: UserId) -> bool:
    """Return whether this process knows a user to be above the number within the hour."""
    return bool(_over) and _over.get(user_id, 0.0) > time.monotonic()


async def count(pairs: Sequence[Pair]) -> set[int]:
    """Count pairs on the event loop; return the users who have just come above the number, as far as this process knows."""
    if not pairs:
        return set()
    try:
        async with loop_client().pipeline(transaction=False) as pipe:
            for user, chat in pairs:
                pipe.eval(SCRIPT, 1, _key(UserId(user)), chat)
            return _record(pairs, await pipe.execute())
    except (RedisError, OSError) as fault:
        return _without_redis(pairs, fault)


def count_in_thread(pairs: Sequence[Pair]) -> set[int]:
    """`count` from a thread."""
    try:
        return _record(pairs, [thread_client().eval(SCRIPT, 1, _key(UserId(user)), chat) for user, chat in pairs])
    except (RedisError, OSError) as fault:
        return _without_redis(pairs, fault)


def flags(users: set[int]) -> list[Any]:
    """Return the values of FLAG."""
    return [f"wrote to more than {settings.LIMITS.recipients_per_hour} people within an hour", sorted(users)]


def log_flagged(rows: Sequence[Sequence[Any]]) -> None:
    """Log the flagged users."""
    for (user,) in rows:
        logger.warning("reach: user %s writes to very many people: flagged and slowed", user)


def _key(user_id: UserId) -> str:
    return f"reach:{user_id}"


def _record(pairs: Sequence[Pair], counts: Sequence[int]) -> set[int]:
    now = time.monotonic()
    if len(_counted) > KEPT:
        _counted.clear()
    _counted.update(dict.fromkeys(pairs, now + COUNTED_SECONDS))
    most = settings.LIMITS.recipients_per_hour
    above = {user for (user, _), count in zip(pairs, counts, strict=True) if count > most}
    fresh = {user for user in above if not is_slowed(UserId(user))}
    _over.update(dict.fromkeys(above, now + HOUR))
    if len(_over) > KEPT:
        _over.clear()
    return fresh


def _without_redis(pairs: Sequence[Pair], fault: Exception) -> set[int]:
    """Ask for these again after a minute only: while Redis is unavailable, sending must not wait for it each time."""
    _counted.update(dict.fromkeys(pairs, time.monotonic() + COUNTED_SECONDS))
    logger.warning("reach: not counted: %s", type(fault).__name__)
    return set()
