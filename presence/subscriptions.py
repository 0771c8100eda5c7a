"""Who is told of whose presence: subscriptions of this process's connections, and the batches that go out to them.

A change travels as a user's id; what it is, and who may know it, is read when it is told: so a loss on the bus, a
privacy switch and a change all end in the same reading, and what a connection knows already is not told again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from django.conf import settings
from django.db import Error

from gateway import codec, threads
from gateway.connection import Connection
from gateway.errors import InvalidPayload
from gateway.frames import Class
from presence import states
from presence.frames import PresenceChanged
from presence.states import State, record_cache

logger = logging.getLogger(__name__)
MOST = 2000
DROP_SECONDS = 60.0


class TooManySubscriptions(InvalidPayload):
    """A connection is told of so many people at most: unsubscribe from some."""


class Subscriptions:
    """The subscriptions of this process's connections. On the event loop; `clock` returns Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_user: dict[int, set[Connection]] = {}
        self._last_sent: dict[int, dict[int, State]] = {}
        self._pending: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._dropped_at = clock()
        self._stale_since = 0.0
        self._reported_unknown = False

    def subscribe(self, connection: Connection, users: Iterable[int]) -> None:
        """Subscribe for 10 min, again for those that are watched already. Raises TooManySubscriptions above 100, and changes nothing."""
        now = self._clock()
        self._end_expired(connection, now)
        wanted = set(users)
        if len(wanted | connection.watching.keys()) > settings.LIMITS.presence_subscriptions:
            raise TooManySubscriptions(f"at most {settings.LIMITS.presence_subscriptions} people", field="userIds")
        until = now + settings.LIMITS.presence_subscription_life
        for user in wanted:
            connection.watching[user] = until
            self._by_user.setdefault(user, set()).add(connection)

    def unsubscribe(self, connection: Connection, users: Iterable[int]) -> None:
        """End subscriptions; one that is not there is no error."""
        for user in users:
            connection.watching.pop(user, None)
            self._drop(connection, user)

    def restore(self, connection: Connection) -> None:
        """Go on with the subscriptions of a resumed connection; its client is told the states as they are now (F80)."""
        self._end_expired(connection, self._clock())
        for user in connection.watching:
            self._by_user.setdefault(user, set()).add(connection)
        self.schedule(connection.watching, at_once=True)

    def forget(self, connection: Connection) -> None:
        """A connection is gone; what it watched stays with it for its resume."""
        for user in connection.watching:
            self._drop(connection, user)
        self._last_sent.pop(connection.id, None)

    def note_sent(self, connection: Connection, sent: dict[int, State]) -> None:
        """Note what a connection has been told, of those whom it still watches: one that is gone watches nobody."""
        kept = {user: state for user, state in sent.items() if self._follows(connection, user)}
        if kept:
            self._last_sent.setdefault(connection.id, {}).update(kept)

    def last_sent(self, connection: Connection) -> dict[int, State]:
        """Return what a connection has been told last, by user."""
        return dict(self._last_sent.get(connection.id, {}))

    def subscribed_users(self) -> list[int]:
        """Return of whom anybody here is told."""
        return list(self._by_user)

    def _follows(self, connection: Connection, user: int) -> bool:
        return connection in self._by_user.get(user, ())

    def _drop(self, connection: Connection, user: int) -> None:
        by = self._by_user.get(user)
        if by is not None:
            by.discard(connection)
            if not by:
                del self._by_user[user]
        self._last_sent.get(connection.id, {}).pop(user, None)

    def _end_expired(self, connection: Connection, now: float) -> None:
        self.unsubscribe(connection, [user for user, until in connection.watching.items() if until <= now])

    def drop_expired(self) -> None:
        """Forget, once a minute, the subscriptions whose time is over (F148)."""
        now = self._clock()
        if now - self._dropped_at < DROP_SECONDS:
            return
        self._dropped_at = now
        for connection in {connection for by in self._by_user.values() for connection in by}:
            self._end_expired(connection, now)

    def follow_redis(self, *, failed_at: float, answered_at: float) -> None:
        """Take how Redis is doing: what was known when it went is shown for 300 s, then `unknown` is told (K24).

        Of its return the watchers learn by the notice that something may have been lost.
        """
        if not failed_at:
            self._stale_since, self._reported_unknown = 0.0, False
        elif not self._stale_since:
            self._stale_since = answered_at
            record_cache.confirm(self.subscribed_users(), answered_at)
        elif not self._reported_unknown and self._clock() - self._stale_since > settings.LIMITS.presence_stale:
            self._reported_unknown = True
            self.schedule(self.subscribed_users(), at_once=True)

    # --- what is told --------------------------------------------------------------------------------------------

    def schedule(self, users: Iterable[int], *, at_once: bool = False) -> None:
        """Tell the watchers of some users what they may know now: within 2 s, together with all else (F150), or at once."""
        found = [user for user in users if user in self._by_user]
        if not found:
            return
        self._pending.update(found)
        if at_once and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            wait = 0.0 if at_once else settings.LIMITS.presence_batch
            self._timer = asyncio.get_running_loop().call_later(wait, self._start_sending)

    def _start_sending(self) -> None:
        self._timer = None
        if self._sending is not None and not self._sending.done():
            self._sending.add_done_callback(lambda _: self._start_sending())
            return
        users, self._pending = self._pending, set()
        self._sending = asyncio.get_running_loop().create_task(self.send_states(users))

    async def send_states(self, users: Iterable[int]) -> None:
        """Read the states of some users for whoever watches them, and tell each connection what is new to it."""
        now = self._clock()
        wanted = [
            (connection, user)
            for user in users
            for connection in self._by_user.get(user, ())
            if connection.watching.get(user, 0.0) > now
        ]
        for start in range(0, len(wanted), MOST):
            part = wanted[start : start + MOST]
            try:
                pairs = list({(connection.session.user_id, user) for connection, user in part})
                found = await threads.run(states.read_states, pairs, self._clock)
            except Error as fault:
                logger.warning("presence: not told, trying again (%s)", type(fault).__name__)
                self.schedule({user for _, user in part})
                continue
            self._send(part, found)

    def _send(self, wanted: Sequence[tuple[Connection, int]], found: dict[tuple[int, int], State]) -> None:
        news: dict[Connection, dict[int, State]] = {}
        for connection, user in wanted:
            state = found[connection.session.user_id, user]
            known = self._last_sent.get(connection.id, {}).get(user)
            if self._follows(connection, user) and (known is None or known[:2] != state[:2]):
                news.setdefault(connection, {})[user] = state
        for connection, sent in news.items():
            self.note_sent(connection, sent)
            changes = [states.state_frame(user, state) for user, state in sent.items()]
            connection.write(codec.frame("presence.changed", PresenceChanged(changes=changes)), Class.PRESENCE)


_subscriptions: Subscriptions | None = None


def subscriptions() -> Subscriptions:
    """Return this process's subscriptions; all of a web process is one event loop."""
    global _subscriptions
    if _subscriptions is None:
        _subscriptions = Subscriptions()
    return _subscriptions
