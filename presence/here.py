"""This process's connections, as Redis is told of them: opened, living, idle, lost, closed; and what is chosen on them.

The only clock is a round a second. A change goes to all processes as the notice `presence`; a refresh that changes
nothing goes nowhere (F144). Knows nothing of who watches.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.conf import settings
from redis import RedisError

from gateway import limits, publish
from gateway.batching import Batcher
from gateway.connection import Connection
from presence import store
from presence.store import Update

logger = logging.getLogger(__name__)
ROUND_SECONDS = 1.0
CHANGED = "presence"
LOST = "lost"  # the hub's own word for what may have been missed
MOST = 500


class Standing:
    """A connection as it was told last: its automatic state, when, and until when activity was told."""

    __slots__ = ("automatic", "chosen", "connection", "put_at", "seen", "waiting")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.automatic = ""
        self.put_at = 0.0
        self.seen = 0.0
        self.chosen = ""  # waits for its turn (F287)
        self.waiting: asyncio.Task[None] | None = None


class Job(NamedTuple):
    """What Redis is to be told of a connection."""

    standing: Standing
    what: str
    choice: str = ""


class Here:
    """The connections of this process. `clock` returns Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._standings: dict[int, Standing] = {}
        self._jobs: Batcher[Job, None] = Batcher(self._tell, most=MOST)
        self.away_since = 0.0
        self.good_at = clock()

    def opened(self, connection: Connection) -> "asyncio.Future[None]":
        """Take a connection in."""
        standing = self._standings[connection.id] = Standing(connection)
        return self._submit(standing, "put")

    def closed(self, connection: Connection, *, on_purpose: bool) -> "asyncio.Future[None]":
        """Let a connection go: offline at once with a user's last one, if on purpose; by its time if lost (K22)."""
        standing = self._standings.pop(connection.id, None) or Standing(connection)
        if standing.waiting is not None:
            standing.waiting.cancel()
        return self._submit(standing, "drop" if on_purpose else "lost", standing.chosen)

    async def choose(self, connection_id: int, status: str) -> None:
        """Set the state of a connection's device; `available` leaves it to activity again.

        One change of a user in 10 s takes effect at once; of those that come sooner the last one, when its time has
        come (F151, F287).
        """
        standing = self._standings.get(connection_id)
        if standing is None:
            return
        standing.chosen = status
        if standing.waiting is None:
            wait = await self._charge(standing)
            if wait:
                standing.waiting = asyncio.get_running_loop().create_task(self._later(standing, wait))
            else:
                await self._apply(standing)

    async def _later(self, standing: Standing, wait: float) -> None:
        while wait:
            await asyncio.sleep(wait)
            wait = await self._charge(standing)
        standing.waiting = None
        await self._apply(standing)

    async def _charge(self, standing: Standing) -> float:
        rate = limits.Window(1 / settings.LIMITS.presence_update_every, 1)
        ask = limits.Charge(f"ratelimit:{standing.connection.session.user_id}:presence", (rate,))
        return (await limits.charge([ask]))[0]

    async def _apply(self, standing: Standing) -> None:
        choice, standing.chosen = standing.chosen, ""
        if standing.connection.id in self._standings:
            await self._submit(standing, "put", choice)

    # --- the rounds ----------------------------------------------------------------------------------------------

    async def round(self) -> None:
        """Tell Redis who became idle or active and who still lives, and end what is due, of any process."""
        now = time.monotonic()
        if not self.away_since:
            for standing in list(self._standings.values()):
                if self._is_news(standing, now):
                    self._submit(standing, "put")
        await self._sweep()

    def _is_news(self, standing: Standing, now: float) -> bool:
        automatic = automatic_of(standing.connection, now)
        return automatic != standing.automatic or now - standing.put_at >= settings.LIMITS.presence_refresh

    async def _sweep(self) -> None:
        try:
            changed = await store.apply_updates(self._clock(), [], sweep=MOST)
        except (RedisError, OSError) as fault:
            self._lose(fault)
            return
        self._find()
        _publish(changed)

    def _submit(self, standing: Standing, what: str, choice: str = "") -> "asyncio.Future[None]":
        now = time.monotonic()
        standing.automatic, standing.put_at = automatic_of(standing.connection, now), now
        return self._jobs.submit(Job(standing, what, choice))

    async def _tell(self, jobs: Sequence[Job]) -> list[None]:
        try:
            changed = await store.apply_updates(self._clock(), [self._update_of(job) for job in jobs])
        except (RedisError, OSError) as fault:
            self._lose(fault)
            for job in jobs:  # what was chosen is told when Redis is back
                job.standing.chosen = job.standing.chosen or job.choice
        else:
            _publish(changed)
        return [None] * len(jobs)

    def _update_of(self, job: Job) -> Update:
        """Return a job as the script takes it. The Redis of a lost connection learns how long it may still count."""
        connection, standing, active = job.standing.connection, job.standing, settings.LIMITS
        ago = self._clock() - time.monotonic()
        heard, seen = ago + connection.heard_at, ago + connection.active_at
        seen, standing.seen = (seen, seen) if seen - standing.seen > 0.5 else (0.0, standing.seen)
        return Update(
            user=connection.session.user_id,
            what=job.what,
            connection=connection.id,
            device=connection.session.device_id,
            automatic=standing.automatic,
            alive=heard + active.presence_ttl,
            kept=heard + max(active.presence_ttl, active.presence_away_kept),
            seen=seen,
            choice=job.choice,
        )

    # --- Redis away ----------------------------------------------------------------------------------------------

    def _lose(self, fault: Exception) -> None:
        if not self.away_since:
            logger.warning("presence: Redis is away (%s)", type(fault).__name__)
            self.away_since = self._clock()

    def _find(self) -> None:
        """Redis answers: where it had been away, tell it anew of every connection, for it may have forgotten all (F157).

        Who watches anybody, in whichever process, looks again: what Redis has done may have had no answer.
        """
        self.good_at = self._clock()
        if self.away_since:
            self.away_since = 0.0
            publish.notice(LOST, [])
            for standing in list(self._standings.values()):
                standing.seen = 0.0
                choice = "" if standing.waiting else standing.chosen
                standing.chosen = standing.chosen if standing.waiting else ""
                self._submit(standing, "put", choice)


def automatic_of(connection: Connection, now: float) -> str:
    """Return what a connection is by itself: away after 5 min without a sign of a person (F142)."""
    return "away" if now - connection.active_at >= settings.LIMITS.presence_idle else "available"


def _publish(changed: list[int]) -> None:
    if changed:
        publish.notice(CHANGED, changed)


_here: Here | None = None


def here() -> Here:
    """Return this process's connections; all of a web process is one event loop."""
    global _here
    if _here is None:
        _here = Here()
    return _here
