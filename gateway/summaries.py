"""Summary mode: a conversation in which more happens than anybody reads is told by how far it has got (F303).

Each process counts by itself what it tells; all count the same news, so all change over at about the same time. Knows
neither members nor connections.
"""

from django.conf import settings

from gateway import codec
from gateway.bus import Event
from gateway.frames import Frame

RATE_SECONDS = 1.0
# A chat leaves summary mode when it is slower than this part of the rate that took it in, for `summary_calm`.
CALM = 0.5


class Summary(Frame, frozen=True):
    """`message.summary`: `count` messages with seqs from `from_seq` to `to_seq`, and all changes up to `rev`: sync."""

    chat_id: str
    count: int
    from_seq: int
    to_seq: int
    rev: int


class Digest:
    """What has happened in a conversation since its members were last told."""

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
        """Return the summary, for all members but those who may see nothing of what it tells."""
        payload = Summary(
            chat_id=str(conversation_id), count=self.count, from_seq=self.first, to_seq=self.last, rev=self.rev
        )
        return Event(
            conversation_id=conversation_id,
            frame=codec.frame("message.summary", payload),
            skip_users=list(self.skip_users or ()),
        )


class SummaryMode:
    """How fast news of one conversation come, and the digest that is being made of them, None out of summary mode."""

    __slots__ = ("_calm_since", "_count", "_since", "digest")

    def __init__(self) -> None:
        self._since = self._calm_since = float("-inf")
        self._count = 0
        self.digest: Digest | None = None

    def absorbs(self, event: Event, now: float) -> bool:
        """Count a durable event at a monotonic time; return whether it is told by a summary, and not by itself."""
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
        """End an interval of `summary_interval`: return its summary, None where nothing happened.

        `digest` is None from then on where it has been calm for long enough.
        """
        done, limits = self.digest, settings.LIMITS
        assert done is not None
        if done.events > limits.summary_per_second * limits.summary_interval * CALM:
            self._calm_since = now
        self.digest = Digest(done.last)
        if now - self._calm_since >= limits.summary_calm:
            self.digest, self._since = None, float("-inf")
        return done.event(conversation_id) if done.events else None
