"""A conversation as one process follows it: who its members are, how far it has got, and how fast it goes."""

import asyncio
from collections.abc import Collection, Container, Iterable
from typing import NamedTuple

from gateway.bus import Event
from gateway.summaries import SummaryMode

# From so many members on a process keeps apart which of them are connected to it: a message then costs nothing for those
# who are not. Below, asking for each is cheaper than keeping account at every connection.
LARGE = 50
# Those who left within so many messages are known, for a message that comes late.
PAST = 1000


class Known(NamedTuple):
    """How far members are known: all who joined with a number below `n`, all who left before the message after `seq`."""

    n: int
    seq: int


class Interval(NamedTuple):
    """A membership: the messages with `joined` < seq <= `left` were sent to this user; `left` is None while it lasts."""

    user: int
    joined: int
    left: int | None


class Audience(NamedTuple):
    """Members of a conversation at a membership version: all, or those who came or went since what was known.

    Of those named, all intervals are, the lasting one last. News of revs above `settled` may still be on their way from
    other processes.
    """

    version: int
    settled: int
    known: Known
    members: Collection[Interval]


class Topic:
    """A conversation as this process follows it; `rev` is -1 until the first look into the database."""

    __slots__ = (
        "connected",
        "current",
        "early",
        "followed_from",
        "former",
        "known",
        "loading",
        "newest_join",
        "newest_leave",
        "rev",
        "summaries",
        "version",
        "waiting",
    )

    def __init__(self) -> None:
        self.version = -1
        self.known: Known | None = None
        self.current: dict[int, int] = {}  # user → joined
        self.former: dict[int, tuple[int, int]] = {}  # user → joined, left
        self.connected: set[int] | None = None  # of a large conversation: the current members who are connected here
        self.newest_join = 0
        self.newest_leave = -1
        self.followed_from = 0
        self.rev = -1
        self.early: dict[int, Event] = {}
        self.waiting: list[Event] = []
        self.loading: asyncio.Task[None] | None = None
        self.summaries = SummaryMode()

    def update(self, audience: Audience, online: Container[int]) -> None:
        """Take over members, all or those who came and went; `online` are the users with a connection here."""
        self.version, settled, self.known, members = audience
        if self.rev < 0:
            self.rev, self.followed_from = settled, settled + 1
        for user, joined, left in members:
            if left is None:
                self.current[user] = joined
                self.newest_join = max(self.newest_join, joined)
            else:
                self.current.pop(user, None)
                self.former[user] = joined, left
                self.newest_leave = max(self.newest_leave, left)
        if len(self.former) > PAST:
            self.former = {u: span for u, span in self.former.items() if span[1] >= self.known.seq - PAST}
        if self.connected is None and len(self.current) >= LARGE:
            self.connected = {user for user in self.current if user in online}
        elif self.connected is not None:
            named = {user for user, _, _ in members}
            self.connected -= named
            self.connected |= {user for user in named if user in self.current and user in online}

    def add_connected(self, user: int) -> None:
        """Note a user's first connection here."""
        if self.connected is not None and user in self.current:
            self.connected.add(user)

    def remove_connected(self, user: int) -> None:
        """Note that a user has no connection here any more."""
        if self.connected is not None:
            self.connected.discard(user)

    def receivers(self, seq: int, joined_before: int = 0) -> Iterable[int]:
        """Users who may see what happened at `seq`; 0 means now, then only who joined before seq `joined_before` if given.

        Of a large conversation only those who are connected here, for it is they who get it.
        """
        current = self.current
        reachable = current if self.connected is None else self.connected
        if joined_before and joined_before <= self.newest_join:
            return [user for user in reachable if current[user] < joined_before]
        if not seq or (seq > self.newest_join and seq > self.newest_leave):
            return reachable
        late = [user for user, (joined, left) in self.former.items() if joined < seq <= left]
        return [user for user in reachable if current[user] < seq] + late
