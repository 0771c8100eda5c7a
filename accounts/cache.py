"""Django's cache in Redis; the memory of this process while Redis is unavailable. allauth stores its limits in it.

Without the fallback nobody could sign in by a page during an outage of Redis, in which messages still work (F340).
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
    """The cache of `settings.CACHES`. Django creates one for each thread; all share the process's memory."""

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
        """Call Redis, or the process's memory for RETRY_SECONDS after a failure of Redis."""
        global _unavailable_until
        if time.monotonic() >= _unavailable_until:
            try:
                return getattr(RedisCache, method)(self, *args, **named)
            except RedisError as fault:
                logger.warning("cache: Redis is unavailable (%s), memory stands in", type(fault).__name__)
                _unavailable_until = time.monotonic() + RETRY_SECONDS
        return getattr(self._memory, method)(*args, **named)
