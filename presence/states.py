"""A user's presence as one viewer may know it: the record in Redis, filtered by its visibility for that viewer.

An unknown user, a stranger, a block, a setting and being offline all look alike (F235). While Redis is unavailable the
last known state is shown for 300 s with its time, then `unknown` (K24).
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from django.conf import settings
from redis import RedisError

from gateway import codec
from presence import store
from presence.frames import PresenceState
from presence.store import PresenceRecord
from presence.visibility import Pair, PresenceVisibility, read_visibility

logger = logging.getLogger(__name__)
MOST_CACHED = 50_000


class State(NamedTuple):
    """One user's state for one viewer; Unix times. `as_of` marks a cached state, shown while Redis is unavailable."""

    status: str
    last_seen: float | None = None
    as_of: float | None = None

    def equals(self, other: "State") -> bool:
        """Say whether two states show the same, whenever they were read."""
        return (self.status, self.last_seen) == (other.status, other.last_seen)


class RecordCache:
    """The records that this process read of late, used while Redis is unavailable."""

    def __init__(self) -> None:
        self._records: dict[int, tuple[float, PresenceRecord]] = {}

    def save(self, records: dict[int, PresenceRecord], now: float) -> None:
        if len(self._records) + len(records) > MOST_CACHED:
            self._records.clear()
        self._records.update({user: (now, known) for user, known in records.items()})

    def confirm(self, users: Iterable[int], at: float) -> None:
        """Note that the records of these users were unchanged until a time: a change would have come as a notice."""
        for user in users:
            if (known := self._records.get(user)) is not None:
                self._records[user] = max(at, known[0]), known[1]

    def read(self, user: int, now: float) -> tuple[float, PresenceRecord] | None:
        """Return the last known record of a user and its Unix time, None if it is too old to be shown."""
        known = self._records.get(user)
        return known if known is not None and now - known[0] <= settings.LIMITS.presence_stale else None


record_cache = RecordCache()


def read_states(pairs: Sequence[Pair], clock: Callable[[], float] = time.time) -> dict[Pair, State]:
    """Return the state of each pair of viewer and user: one query and one round trip to Redis. Called from a thread."""
    if not pairs:
        return {}
    visibilities, now = read_visibility(pairs), clock()
    users = list({user for _, user in pairs})
    try:
        records = store.read_records(users)
    except (RedisError, OSError) as fault:
        logger.info("presence: the last known is shown (%s)", type(fault).__name__)
        return {pair: _cached_state(visibilities.get(pair), record_cache.read(pair[1], now)) for pair in pairs}
    record_cache.save(records, now)
    return {pair: visible_state(visibilities.get(pair), records[pair[1]], now) for pair in pairs}


def _cached_state(visibility: PresenceVisibility | None, known: tuple[float, PresenceRecord] | None) -> State:
    if known is None:
        return State("unknown")
    return visible_state(visibility, known[1], known[0])._replace(as_of=known[0])


def visible_state(visibility: PresenceVisibility | None, record: PresenceRecord, now: float) -> State:
    """Return a record as its visibility permits. A lost connection is away only if last seen is visible (K22)."""
    if visibility is None or not visibility.shows_online:
        return State("offline")
    untimed = (
        visibility.devices_hiding_last_seen
        if visibility.shows_last_seen
        else {entry.device for entry in record.entries}
    )
    status = record.status(now, hidden=visibility.devices_hiding_online, untimed=untimed)
    if not visibility.shows_last_seen or status not in ("offline", "away"):
        return State(status)
    recent = record.last_seen_at(hidden=visibility.devices_hiding_last_seen | visibility.devices_hiding_online)
    stored = visibility.last_shown_at.timestamp() if visibility.last_shown_at else None
    return State(status, max((at for at in (recent, stored) if at is not None), default=None))


def state_frame(user: int, state: State) -> PresenceState:
    """Return a state as the struct of frames and answers."""
    return PresenceState(
        user_id=str(user),
        status=state.status,
        last_seen=codec.unix_timestamp(state.last_seen),
        as_of=codec.unix_timestamp(state.as_of),
    )
