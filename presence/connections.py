"""Reports this process's connections to Redis: opened, alive, idle, lost, closed, and the states chosen on them.

One round a second is the only clock. A changed state is published to all processes as the notice `presence`; a refresh
that changes nothing is not published (F144). This module knows nothing about subscriptions.
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
LOST = "lost"  # the notice by which the hub says that events may have been missed
MOST = 500


class ReportedConnection:
    """A connection and what Redis was last told about it: its automatic state, when, and its latest activity then."""

    __slots__ = ("automatic", "choice", "connection", "reported_active_at", "reported_at", "waiting_choice")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.automatic = ""
        self.reported_at = 0.0
        self.reported_active_at = 0.0
        self.choice = ""  # a chosen state that is not reported yet (F287)
        self.waiting_choice: asyncio.Task[None] | None = None


class Report(NamedTuple):
    """A pending update of a connection; `what` is put, lost or drop (see `store.SCRIPT`)."""

    reported: ReportedConnection
    what: str
    choice: str = ""


class PresenceReporter:
    """Reports the connections of this process. Runs on the event loop; `clock` returns Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._reported: dict[int, ReportedConnection] = {}
        self._reports: Batcher[Report, None] = Batcher(self._send, most=MOST)
        self.redis_failed_at = 0.0
        self.redis_answered_at = clock()

    def report_opened(self, connection: Connection) -> "asyncio.Future[None]":
        """Report an opened connection. The future ends when Redis has it."""
        reported = self._reported[connection.id] = ReportedConnection(connection)
        return self._submit(reported, "put")

    def report_closed(self, connection: Connection, *, on_purpose: bool) -> "asyncio.Future[None]":
        """Report the end of a connection: at once if closed on purpose, after its time if lost (K22)."""
        reported = self._reported.pop(connection.id, None) or ReportedConnection(connection)
        if reported.waiting_choice is not None:
            reported.waiting_choice.cancel()
        return self._submit(reported, "drop" if on_purpose else "lost", reported.choice)

    async def choose_status(self, connection_id: int, status: str) -> None:
        """Set the state of a connection's device; `available` returns it to its automatic state.

        One change a user takes effect at once in each 10 s (limit `presence_update_every`). Of further ones the last
        takes effect when that time is over (F151, F287).
        """
        reported = self._reported.get(connection_id)
        if reported is None:
            return
        reported.choice = status
        if reported.waiting_choice is None:
            wait = await self._charge(reported)
            if wait:
                reported.waiting_choice = asyncio.get_running_loop().create_task(self._apply_later(reported, wait))
            else:
                await self._apply_choice(reported)

    async def _apply_later(self, reported: ReportedConnection, wait: float) -> None:
        while wait:
            await asyncio.sleep(wait)
            wait = await self._charge(reported)
        reported.waiting_choice = None
        await self._apply_choice(reported)

    async def _charge(self, reported: ReportedConnection) -> float:
        rate = limits.Window(1 / settings.LIMITS.presence_update_every, 1)
        ask = limits.Charge(f"ratelimit:{reported.connection.session.user_id}:presence", (rate,))
        return (await limits.charge([ask]))[0]

    async def _apply_choice(self, reported: ReportedConnection) -> None:
        choice, reported.choice = reported.choice, ""
        if reported.connection.id in self._reported:
            await self._submit(reported, "put", choice)

    # --- the rounds ----------------------------------------------------------------------------------------------

    async def run_round(self) -> None:
        """Report changed and living connections, and end the expired ones of every process."""
        now = time.monotonic()
        if not self.redis_failed_at:
            for reported in list(self._reported.values()):
                if self._needs_report(reported, now):
                    self._submit(reported, "put")
        await self._end_expired()

    def _needs_report(self, reported: ReportedConnection, now: float) -> bool:
        automatic = automatic_status(reported.connection, now)
        return automatic != reported.automatic or now - reported.reported_at >= settings.LIMITS.presence_refresh

    async def _end_expired(self) -> None:
        try:
            changed = await store.apply_updates(self._clock(), [], sweep=MOST)
        except (RedisError, OSError) as fault:
            self._note_failure(fault)
            return
        self._note_answer()
        _publish_changes(changed)

    def _submit(self, reported: ReportedConnection, what: str, choice: str = "") -> "asyncio.Future[None]":
        now = time.monotonic()
        reported.automatic, reported.reported_at = automatic_status(reported.connection, now), now
        return self._reports.submit(Report(reported, what, choice))

    async def _send(self, reports: Sequence[Report]) -> list[None]:
        try:
            changed = await store.apply_updates(self._clock(), [self._update_of(report) for report in reports])
        except (RedisError, OSError) as fault:
            self._note_failure(fault)
            for report in reports:  # a choice is reported again when Redis is back
                report.reported.choice = report.reported.choice or report.choice
        else:
            _publish_changes(changed)
        return [None] * len(reports)

    def _update_of(self, report: Report) -> Update:
        """Return a report as the script's input, with the Unix times until which the connection counts."""
        connection, reported, active = report.reported.connection, report.reported, settings.LIMITS
        ago = self._clock() - time.monotonic()
        heard, seen = ago + connection.heard_at, ago + connection.active_at
        seen, reported.reported_active_at = (
            (seen, seen) if seen - reported.reported_active_at > 0.5 else (0.0, reported.reported_active_at)
        )
        return Update(
            user=connection.session.user_id,
            what=report.what,
            connection=connection.id,
            device=connection.session.device_id,
            automatic=reported.automatic,
            alive=heard + active.presence_ttl,
            kept=heard + max(active.presence_ttl, active.presence_away_kept),
            seen=seen,
            choice=report.choice,
        )

    # --- Redis unavailable ---------------------------------------------------------------------------------------

    def _note_failure(self, fault: Exception) -> None:
        if not self.redis_failed_at:
            logger.warning("presence: Redis is unavailable (%s)", type(fault).__name__)
            self.redis_failed_at = self._clock()

    def _note_answer(self) -> None:
        """Note that Redis answers. After a failure, report every connection again, for Redis may have lost all (F157).

        The notice `lost` makes every process read its subscribed users again: Redis may have applied updates whose
        answers were lost.
        """
        self.redis_answered_at = self._clock()
        if self.redis_failed_at:
            self.redis_failed_at = 0.0
            publish.notice(LOST, [])
            for reported in list(self._reported.values()):
                reported.reported_active_at = 0.0
                choice = "" if reported.waiting_choice else reported.choice
                reported.choice = reported.choice if reported.waiting_choice else ""
                self._submit(reported, "put", choice)


def automatic_status(connection: Connection, now: float) -> str:
    """Return the automatic state: away after 5 min (limit `presence_idle`) without user activity (F142)."""
    return "away" if now - connection.active_at >= settings.LIMITS.presence_idle else "available"


def _publish_changes(changed: list[int]) -> None:
    if changed:
        publish.notice(CHANGED, changed)


_reporter: PresenceReporter | None = None


def reporter() -> PresenceReporter:
    """Return this process's reporter; a web process has one event loop."""
    global _reporter
    if _reporter is None:
        _reporter = PresenceReporter()
    return _reporter
