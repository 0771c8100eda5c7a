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
RETRY_SECONDS = 1.0
MAX_ENTRIES = 10_000

_unavailable_until = 0.0


class Cache(RedisCache[Any]):
    """`settings.CACHES` names it; Django makes one a thread, and the memory is the process's."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._memory = LocMemCache("redis-is-away", {**params, "OPTIONS": {"MAX_ENTRIES": MAX_ENTRIES}})

    def get(self, *args: Any, **named: Any) -> Any:
        return self._call("get", args, named)

    def set(self, *args: Any, **named: Any) -> Any:
        return self._call("set", args, named)

    def add(self, *args: Any, **named: Any) -> Any:
        return self._call("add", args, named)

    def delete(self, *args: Any, **named: Any) -> Any:
        return self._call("delete", args, named)

    def _call(self, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Ask Redis, or this process for a while after Redis has not answered."""
        global _unavailable_until
        if time.monotonic() >= _unavailable_until:
            try:
                return getattr(RedisCache, method)(self, *args, **named)
            except RedisError as fault:
                logger.warning("cache: Redis is away (%s), memory stands in", type(fault).__name__)
                _unavailable_until = time.monotonic() + RETRY_SECONDS
        return getattr(self._memory, method)(*args, **named)
