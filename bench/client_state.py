"""The state of a load client: its account, its position in each conversation, and its un-acked messages.

Knows neither the wire nor a history.
"""

from collections import deque

import msgspec


class Account(msgspec.Struct):
    """A client's user and token, and its watermark in each conversation: chat → (seq, rev)."""

    user: int
    token: str
    chats: dict[str, tuple[int, int]]


class Waiting(msgspec.Struct):
    """A message without an ack; `intended` is the time at which it was due, in monotonic nanoseconds."""

    intended: int
    text: str
    number: int = 0


class Chat:
    """A client's position in one conversation: all messages up to `seq`, and those in `ahead` after a gap."""

    __slots__ = (
        "ahead",
        "gap_timer",
        "id",
        "in_flight",
        "look_due",
        "mark_due",
        "marked_at",
        "outbox",
        "rev",
        "seq",
        "wire_id",
    )

    def __init__(self, wire_id: str, seq: int, rev: int) -> None:
        self.wire_id, self.id, self.seq, self.rev = wire_id, int(wire_id), seq, rev
        self.ahead: dict[int, int] = {}
        self.outbox: deque[Waiting] = deque()
        self.in_flight: dict[int, Waiting] = {}
        self.marked_at = 0
        self.mark_due = self.gap_timer = self.look_due = False

    def hold(self, seq: int, rev: int) -> None:
        """Record one message and move the watermark up to the next missing seq."""
        if seq != self.seq + 1:
            if seq > self.seq:
                self.ahead[seq] = rev
            return
        self.seq, self.rev = seq, max(rev, self.rev)
        while self.ahead and self.seq + 1 in self.ahead:
            self.seq += 1
            self.rev = max(self.ahead.pop(self.seq), self.rev)

    def jump(self, seq: int, rev: int) -> None:
        """Move the watermark to one that the server sent."""
        self.seq, self.rev = max(seq, self.seq), max(rev, self.rev)
        for known in [known for known in self.ahead if known <= self.seq]:
            del self.ahead[known]
        if self.seq + 1 in self.ahead:
            self.hold(self.seq + 1, self.ahead.pop(self.seq + 1))
