"""Subscriptions to the presence of users: those of this process's connections, and the batches sent to them.

A notice carries only the user's id. State and visibility are read when a batch is sent, so a change, a privacy setting
and a loss on the bus all lead to the same read. A connection is not sent a state that it has already.
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
    """A connection has too many subscriptions (limit `presence_subscriptions`)."""


class Subscriptions:
    """The subscriptions of this process's connections. Runs on the event loop; `clock` returns Unix seconds."""

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
        """Subscribe a connection to users for 10 min, or prolong that (limit `presence_subscription_life`).

        Raises TooManySubscriptions above 100 users, and then changes nothing.
        """
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
        """End subscriptions. Users without a subscription are ignored."""
        for user in users:
            connection.watching.pop(user, None)
            self._drop(connection, user)

    def restore(self, connection: Connection) -> None:
        """Restore the subscriptions of a resumed connection, and send it the current states (F80)."""
        self._end_expired(connection, self._clock())
        for user in connection.watching:
            self._by_user.setdefault(user, set()).add(connection)
        self.schedule(connection.watching, at_once=True)

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection. Its `watching` stays as it is, for the resume record."""
        for user in connection.watching:
            self._drop(connection, user)
        self._last_sent.pop(connection.id, None)

    def note_sent(self, connection: Connection, sent: dict[int, State]) -> None:
        """Note the states sent to a connection, for the users that it is still subscribed to."""
        kept = {user: state for user, state in sent.items() if self._follows(connection, user)}
        if kept:
            self._last_sent.setdefault(connection.id, {}).update(kept)

    def last_sent(self, connection: Connection) -> dict[int, State]:
        """Return the states last sent to a connection, by user."""
        return dict(self._last_sent.get(connection.id, {}))

    def subscribed_users(self) -> list[int]:
        """Return the users with a subscription in this process."""
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
        """End expired subscriptions, once a minute (F148)."""
        now = self._clock()
        if now - self._dropped_at < DROP_SECONDS:
            return
        self._dropped_at = now
        for connection in {connection for by in self._by_user.values() for connection in by}:
            self._end_expired(connection, now)

    def follow_redis(self, *, failed_at: float, answered_at: float) -> None:
        """Follow a failure of Redis, `failed_at` 0 for none: states stay for 300 s, then become `unknown` (K24).

        When Redis is back, the notice `lost` makes subscriptions read all states again.
        """
        if not failed_at:
            self._stale_since, self._reported_unknown = 0.0, False
        elif not self._stale_since:
            self._stale_since = answered_at
            record_cache.confirm(self.subscribed_users(), answered_at)
        elif not self._reported_unknown and self._clock() - self._stale_since > settings.LIMITS.presence_stale:
            self._reported_unknown = True
            self.schedule(self.subscribed_users(), at_once=True)

    # --- sending -------------------------------------------------------------------------------------------------

    def schedule(self, users: Iterable[int], *, at_once: bool = False) -> None:
        """Send the states of users to their subscribers: in the next batch, within 2 s (F150), or at once."""
        subscribed = [user for user in users if user in self._by_user]
        if not subscribed:
            return
        self._pending.update(subscribed)
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
        """Read the states of users for their subscribers, and send each connection the states that are new to it."""
        now = self._clock()
        live = [
            (connection, user)
            for user in users
            for connection in self._by_user.get(user, ())
            if connection.watching.get(user, 0.0) > now
        ]
        for start in range(0, len(live), MOST):
            part = live[start : start + MOST]
            try:
                pairs = list({(connection.session.user_id, user) for connection, user in part})
                known = await threads.run(states.read_states, pairs, self._clock)
            except Error as fault:
                logger.warning("presence: not told, trying again (%s)", type(fault).__name__)
                self.schedule({user for _, user in part})
                continue
            self._send(part, known)

    def _send(self, live: Sequence[tuple[Connection, int]], states_by_pair: dict[tuple[int, int], State]) -> None:
        changed: dict[Connection, dict[int, State]] = {}
        for connection, user in live:
            state = states_by_pair[connection.session.user_id, user]
            sent = self._last_sent.get(connection.id, {}).get(user)
            if self._follows(connection, user) and (sent is None or not sent.equals(state)):
                changed.setdefault(connection, {})[user] = state
        for connection, new_states in changed.items():
            self.note_sent(connection, new_states)
            changes = [states.state_frame(user, state) for user, state in new_states.items()]
            connection.write(codec.frame("presence.changed", PresenceChanged(changes=changes)), Class.PRESENCE)


_subscriptions: Subscriptions | None = None


def subscriptions() -> Subscriptions:
    """Return this process's subscriptions; a web process has one event loop."""
    global _subscriptions
    if _subscriptions is None:
        _subscriptions = Subscriptions()
    return _subscriptions
