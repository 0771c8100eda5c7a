"""What a load client holds: its account, what it knows of each conversation, and the messages that wait for an ack.

Pure: knows neither the wire nor a history.
"""

from collections import deque

import msgspec


class Account(msgspec.Struct):
    """Who a client is, and what it holds of each of its conversations: chat → (seq, rev)."""

    user: int
    token: str
    chats: dict[str, tuple[int, int]]


class Waiting(msgspec.Struct):
    """A message that this client has yet to get an ack for; `intended` is when it was due, in nanoseconds."""

    intended: int
    text: str
    number: int = 0


class Chat:
    """What a client knows of one conversation: everything up to `seq`, and the seqs in `ahead` of a gap."""

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
        """Take note of one message; the watermark moves over all that is held without a hole."""
        if seq != self.seq + 1:
            if seq > self.seq:
                self.ahead[seq] = rev
            return
        self.seq, self.rev = seq, max(rev, self.rev)
        while self.ahead and self.seq + 1 in self.ahead:
            self.seq += 1
            self.rev = max(self.ahead.pop(self.seq), self.rev)

    def jump(self, seq: int, rev: int) -> None:
        """Take over a watermark that the server gave."""
        self.seq, self.rev = max(seq, self.seq), max(rev, self.rev)
        for known in [known for known in self.ahead if known <= self.seq]:
            del self.ahead[known]
        if self.seq + 1 in self.ahead:
            self.hold(self.seq + 1, self.ahead.pop(self.seq + 1))
