"""Summary mode: in a conversation with too many events, members get periodic summaries instead of frames (F303).

Each process counts the events itself. All processes see the same events, so they switch at about the same time. It
knows neither members nor connections.
"""

from django.conf import settings

from gateway import codec
from gateway.bus import Event
from gateway.frames import Frame

RATE_SECONDS = 1.0
# A conversation leaves summary mode after `summary_calm` seconds below this part of `summary_per_second`.
CALM = 0.5


class Summary(Frame, frozen=True):
    """`message.summary`: `count` new messages, from `from_seq` to `to_seq`, and changes up to `rev`; a client syncs."""

    chat_id: str
    count: int
    from_seq: int
    to_seq: int
    rev: int


class Digest:
    """The events of a conversation since its last summary."""

    __slots__ = ("count", "events", "first", "last", "rev", "skip_users")

    def __init__(self, last: int) -> None:
        self.events = self.count = self.rev = 0
        self.first, self.last = last + 1, last
        self.skip_users: set[int] | None = None

    def add(self, event: Event) -> None:
        self.events += 1
        self.rev = max(self.rev, event.rev)
        if event.seq:
            self.first = min(self.first, event.seq) if self.count else event.seq
            self.last = max(self.last, event.seq)
            self.count += 1
        skipped = event.skip_users
        self.skip_users = set(skipped) if self.skip_users is None else self.skip_users.intersection(skipped)

    def event(self, conversation_id: int) -> Event:
        """Return the summary, for all members except those who are skipped by every event in it."""
        payload = Summary(
            chat_id=str(conversation_id), count=self.count, from_seq=self.first, to_seq=self.last, rev=self.rev
        )
        return Event(
            conversation_id=conversation_id,
            frame=codec.frame("message.summary", payload),
            skip_users=list(self.skip_users or ()),
        )


class SummaryMode:
    """The event rate of one conversation, and its digest; the digest is None outside summary mode."""

    __slots__ = ("_calm_since", "_count", "_since", "digest")

    def __init__(self) -> None:
        self._since = self._calm_since = float("-inf")
        self._count = 0
        self.digest: Digest | None = None

    def absorbs(self, event: Event, now: float) -> bool:
        """Count a durable event at a monotonic time.

        Return whether the next summary covers it, so that its frame is not sent.
        """
        if self.digest is None:
            if now - self._since >= RATE_SECONDS:
                self._since, self._count = now, 0
            self._count += 1
            if self._count <= settings.LIMITS.summary_per_second:
                return False
            self.digest, self._calm_since = Digest(0), now
        self.digest.add(event)
        return True

    def end_interval(self, conversation_id: int, now: float) -> Event | None:
        """End an interval of `summary_interval` and return its summary, None if it had no events.

        Leaves summary mode (`digest` becomes None) if the rate has been low for `summary_calm` seconds.
        """
        done, limits = self.digest, settings.LIMITS
        assert done is not None
        if done.events > limits.summary_per_second * limits.summary_interval * CALM:
            self._calm_since = now
        self.digest = Digest(done.last)
        if now - self._calm_since >= limits.summary_calm:
            self.digest, self._since = None, float("-inf")
        return done.event(conversation_id) if done.events else None
