"""The checker of every run: compares what the clients received with what is stored and with their memberships.

Reads a history (`bench.history`) and the contents of PostgreSQL (`bench.stored_facts`); knows no scenario.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from bench.history import FOREIGN, Kind, Row

EXAMPLES = 20


class StoredMessage(NamedTuple):
    """A row of the message table; `client` is the message number of `bench.history.ClientIds`, or FOREIGN."""

    chat: int
    seq: int
    rev: int
    client: int
    sender: int
    message: int
    digest: int


class Span(NamedTuple):
    """The first and last seq of a conversation that a member may see."""

    low: int
    high: int


ALWAYS = Span(1, 2**62)


@dataclass(frozen=True)
class Facts:
    """The contents of PostgreSQL: the messages stored, and the span that a user may see, by (conversation, user)."""

    messages: list[StoredMessage]
    members: Mapping[tuple[int, int], Span]


@dataclass
class Verdict:
    """Counts of one run. The fields from `unacked` on are faults: all must be 0."""

    sent: int = 0
    acked: int = 0
    stored: int = 0
    delivered: int = 0
    by_sync: int = 0  # messages that came by sync or history pages and not live
    refused: int = 0
    unacked: int = 0  # sent and never acked with ok: refused, or not answered
    lost_acks: int = 0  # acked and not stored
    lost_deliveries: int = 0  # stored, but not received by a connected member, its last sync included
    misacked: int = 0  # the ack names another seq, rev or id than the stored one
    phantom: int = 0  # delivered, but never sent, or different from the message stored at that seq
    altered: int = 0  # the text differs from the text that was sent
    duplicated: int = 0  # stored twice, or delivered twice to one connection
    out_of_order: int = 0
    gaps: int = 0  # runs of seqs that a client never received, and seqs missing in the table
    leaks: int = 0
    unfinished: int = 0  # clients that never completed their last sync
    examples: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.lost_acks + self.lost_deliveries

    def faults(self) -> dict[str, int]:
        """Return the counts of all faults that occurred, by name."""
        names = [each.name for each in fields(self)]
        return {name: getattr(self, name) for name in names[names.index("unacked") : -1] if getattr(self, name)}

    def add_fault(self, name: str, description: str, count: int = 1) -> None:
        """Count a fault and keep an example of it."""
        setattr(self, name, getattr(self, name) + count)
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{name}: {description}")


class Client:
    """A device of a user through all its connections. `received` holds seqs that came live, by ack or by sync."""

    def __init__(self, user: int) -> None:
        self.user = user
        self.start_seq: dict[int, int] = {}
        self.received: dict[int, set[int]] = defaultdict(set)
        self.finished = False


class Sent(NamedTuple):
    """A message as sent: sender, conversation, and the digest of its text."""

    client: Client
    chat: int
    digest: int


class HistoryCheck:
    """Applies the rows of a history one by one; `check_all` then checks all that needs the whole history."""

    def __init__(self, facts: Facts, verdict: Verdict) -> None:
        self.facts, self.verdict = facts, verdict
        self.stored: dict[int, dict[int, StoredMessage]] = defaultdict(dict)
        for message in facts.messages:
            self.stored[message.chat][message.seq] = message
        self.clients: dict[int, Client] = {}
        self.client_of_connection: dict[int, Client] = {}
        self.sent: dict[int, Sent] = {}
        self.sent_on: dict[int, set[int]] = defaultdict(set)
        self.acks: dict[int, Row] = {}
        self.live_seqs: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.last_live_seq: dict[tuple[int, int], int] = {}
        self.last_fetched_seq: dict[tuple[int, int], int] = {}
        self.received_numbers: set[int] = set()
        self.handlers: dict[int, Callable[[Row], None]] = {
            Kind.JOINED: self.apply_join,
            Kind.CONNECTED: self.apply_connect,
            Kind.DISCONNECTED: self.apply_disconnect,
            Kind.SENT: self.apply_send,
            Kind.ACKED: self.apply_ack,
            Kind.ACKED_AGAIN: self.apply_ack,
            Kind.REFUSED: self.apply_refusal,
            Kind.DELIVERED: self.apply_delivery,
            Kind.FETCHED: self.apply_fetch,
            Kind.SYNCED: self.apply_sync,
            Kind.FINISHED: self.apply_finish,
        }

    def apply_join(self, row: Row) -> None:
        client = self.clients.setdefault(row.client, Client(row.other))
        client.start_seq[row.chat] = row.seq

    def apply_connect(self, row: Row) -> None:
        self.client_of_connection[row.connection] = self.clients.setdefault(row.client, Client(row.other))

    def apply_disconnect(self, row: Row) -> None:
        """Change nothing: a client keeps its messages when a connection ends."""

    def apply_send(self, row: Row) -> None:
        self.sent.setdefault(row.client, Sent(self.client_of_connection[row.connection], row.chat, row.digest))
        self.sent_on[row.client].add(row.connection)

    def apply_ack(self, row: Row) -> None:
        first = self.acks.setdefault(row.client, row)
        if (first.chat, first.seq, first.other) != (row.chat, row.seq, row.other):
            self.verdict.add_fault("misacked", f"two acks of one message differ: {first} {row}")
        self.client_of_connection[row.connection].received[row.chat].add(row.seq)

    def apply_refusal(self, row: Row) -> None:
        self.verdict.refused += 1

    def apply_delivery(self, row: Row) -> None:
        self.verdict.delivered += 1
        key = row.connection, row.chat
        seen, last = self.live_seqs[key], self.last_live_seq.get(key, 0)
        if row.seq in seen or row.connection in self.sent_on.get(row.client, ()):
            self.verdict.add_fault("duplicated", f"delivered again or to its own connection: {row}")
        elif row.seq < last:
            self.verdict.add_fault("out_of_order", f"seq {row.seq} after {last}: {row}")
        self.last_live_seq[key] = max(row.seq, last)
        seen.add(row.seq)
        self.receive(row)

    def apply_fetch(self, row: Row) -> None:
        key = row.connection, row.chat
        if row.seq <= self.last_fetched_seq.get(key, 0):
            self.verdict.add_fault(
                "out_of_order", f"in one answer seq {row.seq} after {self.last_fetched_seq[key]}: {row}"
            )
        self.last_fetched_seq[key] = row.seq
        if row.seq not in self.client_of_connection[row.connection].received[row.chat]:
            self.verdict.by_sync += 1
        self.receive(row)

    def apply_sync(self, row: Row) -> None:
        self.last_fetched_seq.pop((row.connection, row.chat), None)

    def apply_finish(self, row: Row) -> None:
        self.clients[row.client].finished = True

    def receive(self, row: Row) -> None:
        """Check one received message against the membership and against the message stored at its seq."""
        client = self.client_of_connection[row.connection]
        client.received[row.chat].add(row.seq)
        span = self.facts.members.get((row.chat, client.user))
        if span is None or not span.low <= row.seq <= span.high:
            self.verdict.add_fault("leaks", f"user {client.user} is no member at this seq: {row}")
        stored = self.stored.get(row.chat, {}).get(row.seq)
        if stored is None or (stored.client, stored.sender) != (row.client, row.other):
            self.verdict.add_fault("phantom", f"stored there is {stored}, delivered was {row}")
        elif stored.digest != row.digest:
            self.verdict.add_fault("altered", f"stored {stored}, delivered {row}")
        if row.client != FOREIGN:
            self.received_numbers.add(row.client)

    # Checks that need the whole history.

    def check_all(self) -> None:
        self.check_phantoms()
        self.check_stored()
        self.check_acks()
        self.check_sender_order()
        for number, client in self.clients.items():
            self.check_client(number, client)

    def check_phantoms(self) -> None:
        """Report delivered messages that nobody sent.

        Histories are read one process after another, so a send may be read after its delivery.
        """
        for number in self.received_numbers - self.sent.keys():
            self.verdict.add_fault("phantom", f"delivered, never sent: message number {number}")

    def check_stored(self) -> None:
        stored_numbers: set[int] = set()
        for message in self.facts.messages:
            if message.client in stored_numbers:
                self.verdict.add_fault("duplicated", f"stored twice: {message}")
            if message.client == FOREIGN:
                continue
            stored_numbers.add(message.client)
            sent = self.sent.get(message.client)
            if sent is None or (sent.chat, sent.client.user) != (message.chat, message.sender):
                self.verdict.add_fault("phantom", f"stored, but not sent by that user to that chat: {message}")
            elif sent.digest != message.digest:
                self.verdict.add_fault("altered", f"stored is another text: {message}")
        self.verdict.stored = len(stored_numbers)
        for chat, messages in self.stored.items():
            holes = max(messages) - min(messages) + 1 - len(messages)
            if holes:
                self.verdict.add_fault("gaps", f"{holes} seqs of chat {chat} are not stored", holes)

    def check_acks(self) -> None:
        self.verdict.sent, self.verdict.acked = len(self.sent), len(self.acks)
        for number in self.sent.keys() - self.acks.keys():
            self.verdict.add_fault("unacked", f"sent, but never acked: message number {number}")
        by_client = {message.client: message for message in self.facts.messages}
        for number, ack in self.acks.items():
            stored = by_client.get(number)
            if number == FOREIGN or stored is None:
                self.verdict.add_fault("lost_acks", f"acked and not stored: {ack}")
            elif (stored.chat, stored.seq, stored.rev, stored.message) != (ack.chat, ack.seq, ack.rev, ack.other):
                self.verdict.add_fault("misacked", f"acked {ack}, stored {stored}")

    def check_sender_order(self) -> None:
        """Report messages of one client that are stored in another order than they were sent (protocol 2)."""
        seqs = {message.client: message.seq for message in self.facts.messages}
        last: dict[tuple[int, int], int] = {}
        for number, sent in self.sent.items():
            if number not in seqs:
                continue
            key = id(sent.client), sent.chat
            if seqs[number] < last.get(key, 0):
                self.verdict.add_fault("out_of_order", f"sent later, stored earlier: {number} in chat {sent.chat}")
            last[key] = seqs[number]

    def check_client(self, number: int, client: Client) -> None:
        if not client.finished:
            self.verdict.add_fault(
                "unfinished", f"client {number} of user {client.user} has not completed its last sync"
            )
            return
        for chat, start_seq in client.start_seq.items():
            span = self.facts.members.get((chat, client.user))
            if span is None:
                continue
            due = {seq for seq in self.stored.get(chat, {}) if seq > start_seq and span.low <= seq <= span.high}
            missing = due - client.received[chat]
            if missing:
                description = f"client {number} of user {client.user} misses {sorted(missing)[:5]} of chat {chat}"
                self.verdict.add_fault("lost_deliveries", description, len(missing))
                self.verdict.add_fault("gaps", description, count_runs(missing))


def count_runs(seqs: set[int]) -> int:
    """Return the number of runs of consecutive numbers."""
    return sum(seq - 1 not in seqs for seq in seqs)


def check_history(history: Iterable[Row], facts: Facts) -> Verdict:
    """Return the verdict on a run; `history` is in the order of each process, `facts` are read after the run."""
    verdict = Verdict()
    history_check = HistoryCheck(facts, verdict)
    for row in history:
        history_check.handlers[row.kind](row)
    history_check.check_all()
    return verdict
