"""Django's cache in Redis, with this process's memory in its place while Redis is away: allauth keeps its limits in it.

Without it nobody could sign in by a page without Redis, while messages go on (F340).
"""

import logging
import time
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django_redis.cache import RedisCache
from redis import RedisError

logger = logging.getLogger(__name__)
AWAY_SECONDS = 1.0
KEPT = 10_000

_away_until = 0.0


class Cache(RedisCache[Any]):
    """`settings.CACHES` names it; Django makes one a thread, and the memory is the process's."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._here = LocMemCache("redis-is-away", {**params, "OPTIONS": {"MAX_ENTRIES": KEPT}})

    def get(self, *args: Any, **named: Any) -> Any:
        return self._either("get", args, named)

    def set(self, *args: Any, **named: Any) -> Any:
        return self._either("set", args, named)

    def add(self, *args: Any, **named: Any) -> Any:
        return self._either("add", args, named)

    def delete(self, *args: Any, **named: Any) -> Any:
        return self._either("delete", args, named)

    def _either(self, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Ask Redis, or this process for a while after Redis has not answered."""
        global _away_until
        if time.monotonic() >= _away_until:
            try:
                return getattr(RedisCache, method)(self, *args, **named)
            except RedisError as fault:
                logger.warning("cache: Redis is away (%s), memory stands in", type(fault).__name__)
                _away_until = time.monotonic() + AWAY_SECONDS
        return getattr(self._here, method)(*args, **named)
