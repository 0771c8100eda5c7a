"""How loaded this process is, by the lag of its event loop, and what it refuses then (F306–F308, U5, U15)."""

import asyncio
import random
import time

from django.conf import settings

HIGH, CRITICAL = 0.75, 0.90
PROBE_SECONDS = 1.0
HYSTERESIS_SECONDS = 10.0
RETRY_AFTER = 5


class Load:
    """Load from 0 to 1 and more: loop lag over `overload_lag` (250 ms); a critical one keeps new connections out for 10 s."""

    def __init__(self) -> None:
        self.value = 0.0
        self._critical_until = 0.0

    async def probe(self) -> None:
        """Measure for ever; one sleep a second, late by the lag."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PROBE_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
            self.note(max(0.0, loop.time() - due), time.monotonic())

    def note(self, lag: float, now: float) -> None:
        """Take a measured lag in seconds at a monotonic time."""
        self.value = max(lag / settings.LIMITS.overload_lag, self.value / 2)
        if self.value > CRITICAL:
            self._critical_until = now + HYSTERESIS_SECONDS

    def critical(self, now: float) -> bool:
        return now < self._critical_until


def reconnect_delay(spread: float) -> str:
    """Return the reason of a 4503: the whole seconds to wait, at random so that clients do not return as one."""
    return str(random.randint(1, max(1, round(spread))))  # noqa: S311
