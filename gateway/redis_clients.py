"""The Redis clients of a process: one for the event loop, one for threads. All timeouts are explicit."""

import asyncio
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

# redis-py 8 retries by default: with a dead Redis, frames would wait for seconds before the local fallback acts.
TIMEOUTS: dict[str, Any] = {"socket_timeout": 1, "socket_connect_timeout": 1, "health_check_interval": 15}
CONNECTIONS = 16
_clients: dict[asyncio.AbstractEventLoop, "aioredis.Redis"] = {}


def loop_client() -> "aioredis.Redis":
    """Return the client of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        # A blocking pool: if many sockets open or close at once, they wait for a connection instead of failing.
        pool = aioredis.BlockingConnectionPool.from_url(
            settings.REDIS_URL, max_connections=CONNECTIONS, timeout=5, retry=AsyncRetry(NoBackoff(), 0), **TIMEOUTS
        )
        _clients[loop] = aioredis.Redis(connection_pool=pool)
    return _clients[loop]


@cache
def thread_client() -> "redis.Redis":
    """Return the client for handler threads, views, tasks and commands."""
    return redis.Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **TIMEOUTS)
