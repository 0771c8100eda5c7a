"""The state of a conversation in one process: its members, its rev, the events that wait, and its summary mode."""

import asyncio
from collections.abc import Collection, Container, Iterable
from typing import NamedTuple

from gateway.bus import Event
from gateway.summaries import SummaryMode

# From this number of members on, a topic tracks which of them are connected to this process, so that a message costs
# nothing for the others. Below it, checking each member is cheaper than tracking.
LARGE = 50
# Former members are kept for this many messages after they left, for messages that arrive late.
PAST = 1000


class Known(NamedTuple):
    """The known part of the members: all joins with a number below `n`, all leaves up to message `seq`."""

    n: int
    seq: int


class Interval(NamedTuple):
    """A membership: messages with `joined` < seq <= `left` were sent to this user; `left` is None while it lasts."""

    user: int
    joined: int
    left: int | None


class Audience(NamedTuple):
    """Members of a conversation at a membership version: all, or those who joined or left since the known part.

    For every user listed, all membership intervals, the open one last. Events with a rev above `settled` may still be
    on their way from other processes.
    """

    version: int
    settled: int
    known: Known
    members: Collection[Interval]


class Topic:
    """The state of a conversation in this process; `rev` is -1 until the first database lookup."""

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
        self.connected: set[int] | None = None  # of a large conversation: current members with a connection here
        self.newest_join = 0
        self.newest_leave = -1
        self.followed_from = 0
        self.rev = -1
        self.early: dict[int, Event] = {}
        self.waiting: list[Event] = []
        self.loading: asyncio.Task[None] | None = None
        self.summaries = SummaryMode()

    def update(self, audience: Audience, online: Container[int]) -> None:
        """Apply loaded members: all, or those who joined or left. `online` are the users with a connection here."""
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
        """Record a user's first connection to this process."""
        if self.connected is not None and user in self.current:
            self.connected.add(user)

    def remove_connected(self, user: int) -> None:
        """Record the end of a user's last connection to this process."""
        if self.connected is not None:
            self.connected.discard(user)

    def receivers(self, seq: int, joined_before: int = 0) -> Iterable[int]:
        """Return the users who may see an event at message `seq`; 0 stands for the current members.

        With `joined_before`, only members who joined before that seq. Of a large conversation, only connected members.
        """
        current = self.current
        reachable = current if self.connected is None else self.connected
        if joined_before and joined_before <= self.newest_join:
            return [user for user in reachable if current[user] < joined_before]
        if not seq or (seq > self.newest_join and seq > self.newest_leave):
            return reachable
        late = [user for user, (joined, left) in self.former.items() if joined < seq <= left]
        return [user for user in reachable if current[user] < seq] + late
