"""Load shedding: measures the event loop's lag; an overloaded process refuses connections (F306–F308, U5, U15)."""

import asyncio
import random
import time

from django.conf import settings

HIGH, CRITICAL = 0.75, 0.90
PROBE_SECONDS = 1.0
HYSTERESIS_SECONDS = 10.0
RETRY_AFTER = 5


class Load:
    """The load of this process: loop lag divided by `overload_lag` (250 ms).

    A critical load refuses connections for 10 s.
    """

    def __init__(self) -> None:
        self.value = 0.0
        self._critical_until = 0.0

    async def probe(self) -> None:
        """Measure the lag once a second, until cancelled: a sleep wakes up late by the lag."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PROBE_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
            self.note(max(0.0, loop.time() - due), time.monotonic())

    def note(self, lag: float, now: float) -> None:
        """Record a lag in seconds, measured at a monotonic time."""
        self.value = max(lag / settings.LIMITS.overload_lag, self.value / 2)
        if self.value > CRITICAL:
            self._critical_until = now + HYSTERESIS_SECONDS

    def critical(self, now: float) -> bool:
        return now < self._critical_until


def reconnect_delay(spread: float) -> str:
    """Return the reason of a 4503: whole seconds to wait, random up to `spread` so that clients return one by one."""
    return str(random.randint(1, max(1, round(spread))))  # noqa: S311
