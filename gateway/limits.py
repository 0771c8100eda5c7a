"""Token buckets in Redis, so that a limit holds across processes; without Redis, local buckets replace them.

A key may have several windows (10 a second and 100 a minute): all must have room, and all are charged together. The
script reads the clock of Redis; if that clock is set back, nobody loses tokens.

Source: F283–F297, K19, K21; protocol 2.7.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from django.conf import settings
from redis import RedisError
from redis.exceptions import NoScriptError

from gateway.errors import RateLimited
from gateway.redis_clients import loop_client, thread_client

logger = logging.getLogger(__name__)
FALLBACK_SECONDS = 1.0

# KEYS: none (the keys are data: a limit needs no atomicity over several). ARGV[1]: msgpack [[key, cost, strict,
# [[rate, burst], …]], …]. Answers the seconds to wait for each key as text, "0" for go. Packed into one argument: one
# EVALSHA serves a whole batch. A bucket's state is "time:tokens:tokens…".
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local waits = {}
for place, ask in ipairs(cmsgpack.unpack(ARGV[1])) do
    local key, cost, windows = ask[1], ask[2], ask[4]
    local state, old = {}, redis.call('GET', key)
    if old then for part in string.gmatch(old, '[^:]+') do state[#state + 1] = tonumber(part) end end
    local wait, keep, tokens = 0, 1, {}
    for i, window in ipairs(windows) do
        local rate, burst = window[1], window[2]
        local have = burst
        if state[1] and state[i + 1] then have = math.min(burst, state[i + 1] + math.max(0, now - state[1]) * rate) end
        if have < cost then wait = math.max(wait, (cost - have) / rate) end
        tokens[i] = have
        keep = math.max(keep, burst / rate)
    end
    if wait == 0 then
        local text = string.format('%.6f', now)
        for i = 1, #tokens do text = text .. ':' .. string.format('%.4f', tokens[i] - cost) end
        redis.call('SET', key, text, 'PX', math.ceil(math.min(keep, 86400) * 1000))
    end
    waits[place] = string.format('%.3f', wait)
end
return waits
"""


_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Window(NamedTuple):
    """A token bucket: `rate` tokens a second, `burst` tokens at most."""

    rate: float
    burst: float


class Charge(NamedTuple):
    """A charge of `cost` tokens on `key`, in all windows or none.

    If `strict`, it is refused while Redis is unavailable.
    """

    key: str
    windows: tuple[Window, ...]
    cost: int = 1
    strict: bool = False


class LocalBuckets:
    """The same buckets in the memory of one process; each window is divided by the number of processes."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._state: dict[str, tuple[float, list[float]]] = {}

    def charge(self, charge: Charge, now: float) -> float:
        """Return the seconds to wait, 0 if it was charged."""
        if charge.strict:
            return 60.0
        at, have = self._state.get(charge.key, (now, [w.burst for w in charge.windows]))
        shares = [Window(w.rate / self._processes, max(1.0, w.burst / self._processes)) for w in charge.windows]
        tokens = [min(w.burst, n + (now - at) * w.rate) for w, n in zip(shares, have, strict=True)]
        wait = max((charge.cost - n) / w.rate if n < charge.cost else 0.0 for w, n in zip(shares, tokens, strict=True))
        if wait <= 0:
            self._state[charge.key] = (now, [n - charge.cost for n in tokens])
            if len(self._state) > 100_000:
                self._state.clear()
        return max(0.0, wait)


_local = LocalBuckets(settings.WEB_PROCESSES)
_local_until = 0.0


async def charge(charges: Sequence[Charge]) -> list[float]:
    """Charge a batch of limits in one round trip. Return the seconds to wait for each, 0 if it was charged."""
    if time.monotonic() < _local_until:
        return _charge_locally(charges)
    try:
        return await _from_redis(_pack(charges))
    except (RedisError, OSError, TimeoutError) as fault:
        return _fall_back(charges, fault)


async def _from_redis(packed: bytes) -> list[float]:
    """Run the script by its hash, and in full if Redis does not know the hash yet."""
    try:
        return _seconds(await loop_client().evalsha(_SHA, 0, packed))
    except NoScriptError:
        return _seconds(await loop_client().eval(SCRIPT, 0, packed))


def enforce(key: str, rate_per_s: float, burst: float, *, cost: int = 1, strict: bool = False) -> None:
    """Charge one limit from a thread. Raises RateLimited with the seconds to wait if it has no room."""
    raise_if_limited(charge_in_thread([Charge(f"ratelimit:{key}", (Window(rate_per_s, burst),), cost, strict)])[0])


def charge_in_thread(charges: Sequence[Charge]) -> list[float]:
    """Charge a batch of limits from a thread (views, handlers, commands); otherwise like `charge`."""
    if time.monotonic() < _local_until:
        return _charge_locally(charges)
    try:
        return _seconds(thread_client().eval(SCRIPT, 0, _pack(charges)))
    except (RedisError, OSError) as fault:
        return _fall_back(charges, fault)


def raise_if_limited(wait: float) -> None:
    """Raise RateLimited unless `wait` is 0 seconds."""
    if wait > 0:
        raise RateLimited(retry_after=round(wait, 3))


def _pack(charges: Sequence[Charge]) -> bytes:
    return msgspec.msgpack.encode([(a.key, a.cost, a.strict, a.windows) for a in charges])


def _seconds(answer: Sequence[bytes]) -> list[float]:
    return [float(wait) for wait in answer]


def _charge_locally(charges: Sequence[Charge]) -> list[float]:
    now = time.monotonic()
    return [_local.charge(each, now) for each in charges]


def _fall_back(charges: Sequence[Charge], fault: Exception) -> list[float]:
    global _local_until
    logger.warning("limits: Redis is unavailable (%s), local buckets stand in", type(fault).__name__)
    _local_until = time.monotonic() + FALLBACK_SECONDS
    return _charge_locally(charges)
