"""A minimal Parley client: hello, send and ack, delivered marks, gaps, sync, reconnect, as the protocol describes them.

It has one un-acked message in flight in each conversation (more if a scenario widens the window); later messages are
queued in order. It marks arriving messages as delivered at once, at most five times a second in each conversation. It
records every event in the history of its load process.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench import frames
from bench.client_state import Account, Chat, Waiting
from bench.history import FOREIGN, Kind, digest
from bench.wire import Link, encode_frame

if TYPE_CHECKING:
    from bench.load import Load

MARK_EVERY = 200_000_000  # protocol 2.1: at most 5 a second
GAP_PATIENCE = 1_000_000_000  # an ack may arrive after a later message, so a missing seq is no gap at first
DRAINING = 4503
LOOK_AFTER = (10.0, 60.0)  # seconds after which a person looks at a chat that has new messages
BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # protocol 2.8, seconds, with jitter


class Connection(Link):
    """One socket of a client; a client that reconnects opens a new one."""

    __slots__ = ("client", "number")

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.number = client.load.next_connection()
        load = client.load
        headers = {"Authorization": f"Bearer {client.account.token}", "Sec-WebSocket-Protocol": "parley.v1"}
        super().__init__(load.loop, load.addresses[self.number % len(load.addresses)], "/ws/v1", headers)

    def on_open(self) -> None:
        self.client.record_connection()

    def on_text(self, body: bytes) -> None:
        self.client.receive(body)

    def on_close(self, code: int, reason: str) -> None:
        self.client.handle_close(self, code, reason)


class Client:
    """One device of one user. `ready` is true between hello and the end of the connection."""

    def __init__(self, load: "Load", number: int, account: Account) -> None:
        self.load, self.number, self.account = load, number, account
        self.chats = {wire: Chat(wire, *held) for wire, held in account.chats.items()}
        self.chat_of_message: dict[int, Chat] = {}
        self.link: Connection | None = None
        self.ready = self.keep_connected = False
        self.tries = 0
        self.sync_parts: dict[int, set[str]] = {}
        self.after_sync: dict[int, Callable[[], None]] = {}
        for chat in self.chats.values():
            load.record((Kind.JOINED, load.loop.now, 0, chat.id, chat.seq, chat.rev, number, account.user, 0))

    # The connection.

    def connect(self) -> None:
        self.keep_connected = True
        try:
            self.link = Connection(self)
        except OSError:
            self.reconnect_later()

    def disconnect(self) -> None:
        """Close the connection and do not reconnect."""
        self.keep_connected = False
        if self.link:
            self.link.write(encode_frame(b"\x03\xe8", 8))
            self.link.close(1000, "")

    def handle_close(self, link: Connection, code: int, reason: str) -> None:
        if link.open:
            self.record(Kind.DISCONNECTED, client=self.number, other=self.account.user)
        self.ready, self.link = False, None
        if self.keep_connected:
            self.load.count_close(code, reason)
            self.reconnect_later(float(reason) if code == DRAINING and reason.isdigit() else 0)

    def reconnect_later(self, seconds: float = 0) -> None:
        """Reconnect after `seconds` if the server named a delay, else after the backoff of protocol 2.8."""
        step = seconds or BACKOFF[min(self.tries, len(BACKOFF) - 1)] * random.uniform(0.5, 1.0)
        self.tries += 1
        self.load.loop.call_at(
            self.load.loop.now + int(step * 1e9), lambda: self.connect() if self.keep_connected else None
        )

    def record_connection(self) -> None:
        self.record(Kind.CONNECTED, client=self.number, other=self.account.user)

    def handle_hello(self) -> None:
        self.ready = True
        returning, self.tries = self.tries > 0, 0
        self.schedule_ping(self.link)
        if returning:
            self.sync_parts.clear()
            self.after_sync.clear()
            self.resend()
            self.request_sync()
        self.load.handle_connected()

    def schedule_ping(self, link: Connection | None) -> None:
        """Send a ping every 30 s (protocol 1: heartbeatInterval)."""

        def ping() -> None:
            if self.link is link and link is not None:
                link.write(frames.ping(self.load.next_id()))
                self.schedule_ping(link)

        self.load.loop.call_at(self.load.loop.now + 30_000_000_000, ping)

    # Sending.

    def enqueue(self, chat: Chat, waiting: Waiting) -> None:
        """Queue a message of a conversation and send it when its turn comes."""
        waiting.number = self.load.next_number()
        chat.outbox.append(waiting)
        self.send_queued(chat)

    def send_queued(self, chat: Chat) -> None:
        while chat.outbox and self.ready and len(chat.in_flight) < self.load.window:
            waiting = chat.outbox.popleft()
            chat.in_flight[waiting.number] = waiting
            self.chat_of_message[waiting.number] = chat
            self.send(chat, waiting)

    def send(self, chat: Chat, waiting: Waiting) -> None:
        load, number, text = self.load, waiting.number, waiting.text
        link = self.link
        if link is None:
            return
        load.record((Kind.SENT, load.now(), link.number, chat.id, 0, 0, number, waiting.intended, digest(text)))
        link.write(frames.send(load.ids.text(number), chat.wire_id, text, chat.seq))

    def resend(self) -> None:
        """Send un-acked messages again with the same ids, in order, then the queued ones."""
        for chat in self.chats.values():
            for waiting in chat.in_flight.values():
                self.send(chat, waiting)
            self.send_queued(chat)

    def handle_ack(self, body: bytes) -> None:
        ack = frames.read_ack(body).payload
        number = self.load.ids.number(ack.ref_id)
        chat = self.chat_of_message.get(number)
        if chat is None:
            self.handle_sync_ack(number, ack)
        elif ack.status == "ok":
            kind = Kind.ACKED_AGAIN if ack.duplicate else Kind.ACKED
            self.record(kind, chat.id, ack.seq, ack.rev, number, ack.message_id)
            self.complete_send(chat, number)
            chat.hold(ack.seq, ack.rev)
            self.load.handle_ack(self, chat)
        else:
            self.handle_refusal(chat, number, ack)

    def complete_send(self, chat: Chat, number: int) -> None:
        del self.chat_of_message[number]
        del chat.in_flight[number]
        self.send_queued(chat)

    def handle_refusal(self, chat: Chat, number: int, ack: frames.Ack) -> None:
        """Retry a message refused with retryAfter (protocol 2.6); give up a message refused without it."""
        self.record(Kind.REFUSED, chat.id, client=number)
        error = ack.error or frames.Fault()
        self.load.count_refusal(error)
        if error.retry_after is None:
            self.complete_send(chat, number)
            self.load.handle_ack(self, chat)
            return
        waiting, link = chat.in_flight[number], self.link
        later = self.load.loop.now + int(error.retry_after * 1e9)
        self.load.loop.call_at(later, lambda: self.send(chat, waiting) if self.link is link else None)

    # Receiving.

    def receive(self, body: bytes) -> None:
        if body.startswith(frames.NEW):
            self.handle_delivery(self.load.read_delivery(body))
        elif body.startswith(frames.ACK):
            self.handle_ack(body)
        else:
            self.receive_other(body)

    def receive_other(self, body: bytes) -> None:
        """Handle rare frames, and frames whose fields are in another order than this server writes."""
        match frames.read_type(body).type:
            case "message.new":
                self.handle_delivery(self.load.read_delivery(body))
            case "ack":
                self.handle_ack(body)
            case "hello":
                self.handle_hello()
            case "sync.response":
                self.handle_sync_response(body)
            case "message.summary":
                self.handle_summary(self.chats[frames.read_summary(body).payload.chat_id])
            case "error":
                self.load.count_refusal(frames.read_error(body).payload)
            case other:
                self.load.count(other)

    def handle_delivery(self, arrival: "frames.Arrival") -> None:
        load = self.load
        if not self.ready:
            load.count("BREACH: a message before hello")  # protocol 1: hello is the first frame
        wire, chat_id, seq, rev, number, sender, text = arrival
        link = self.link
        assert link is not None
        load.record((Kind.DELIVERED, load.loop.now, link.number, chat_id, seq, rev, number, sender, text))
        chat = self.chats.get(wire)
        if chat is None:
            return  # not a conversation of this client: the checker reports a leak
        if seq == chat.seq + 1 and not chat.ahead:
            chat.seq, chat.rev = seq, rev
        else:
            chat.hold(seq, rev)
            self.watch_gap(chat)
        if not chat.mark_due:
            self.mark_delivered(chat)

    def mark_delivered(self, chat: Chat) -> None:
        """Send a delivered mark now, or when the last one is 200 ms old."""
        now = self.load.loop.now
        if now - chat.marked_at >= MARK_EVERY:
            self.send_mark(chat)
            return
        chat.mark_due = True

        def due() -> None:
            chat.mark_due = False
            self.send_mark(chat)

        self.load.loop.call_at(chat.marked_at + MARK_EVERY, due)

    def send_mark(self, chat: Chat) -> None:
        if self.link is not None and self.ready:
            chat.marked_at = self.load.loop.now
            self.link.write(frames.mark(self.load.next_id(), chat.wire_id, chat.seq))

    def watch_gap(self, chat: Chat) -> None:
        """Request a sync if a gap is still open after GAP_PATIENCE."""
        if not chat.ahead or chat.gap_timer or chat.look_due:  # messages announced by a summary are no gap
            return
        chat.gap_timer, stuck = True, chat.seq

        def look() -> None:
            chat.gap_timer = False
            if chat.ahead and chat.seq == stuck and self.ready:
                self.load.count("gap")
                self.request_sync([chat])
            self.watch_gap(chat)

        self.load.loop.call_at(self.load.loop.now + GAP_PATIENCE, look)

    # Sync.

    def request_sync(self, chats: list[Chat] | None = None, done: Callable[[], None] | None = None) -> None:
        """Request missed messages; call `done` after the ack and the last page have arrived."""
        if self.link is None:
            return
        number = self.load.next_number()
        named = {chat.wire_id: {"seq": chat.seq, "rev": chat.rev} for chat in chats or self.chats.values()}
        self.sync_parts[number] = {"ack", "answer"}
        if done:
            self.after_sync[number] = done
        self.link.write(frames.sync(self.load.ids.text(number), named))

    def handle_sync_ack(self, number: int, ack: frames.Ack) -> None:
        if number not in self.sync_parts:
            self.load.count("ack")
        elif ack.status == "ok":
            self.complete_sync_part(number, "ack")
        else:
            self.load.count_refusal(ack.error or frames.Fault())

    def complete_sync_part(self, number: int, part: str) -> None:
        parts = self.sync_parts[number]
        parts.discard(part)
        if not parts:
            del self.sync_parts[number]
            self.after_sync.pop(number, lambda: None)()

    def handle_sync_response(self, body: bytes) -> None:
        """Apply the answer to the oldest open request: the server answers the frames of a connection in order."""
        number = next(number for number, parts in self.sync_parts.items() if "answer" in parts)
        unfinished = []
        for part in frames.read_sync(body).payload.chats:
            chat = self.chats.get(str(part.chat_id))
            for message in part.messages:
                self.record_fetched(part.chat_id, message)
            if chat is None:
                continue
            if part.too_large:
                self.load.fetch_pages(self, chat, part.seq)
            chat.jump(part.seq, part.rev)
            self.record(Kind.SYNCED, chat.id, chat.seq, chat.rev)
            if part.has_more:
                unfinished.append(chat)
        if unfinished:
            self.request_sync(unfinished, self.after_sync.pop(number, None))
        self.complete_sync_part(number, "answer")

    def handle_summary(self, chat: Chat) -> None:
        """Fetch the messages of a chat in summary mode when its user looks at it, not at every summary."""
        self.load.count("message.summary")
        if chat.look_due:
            return
        chat.look_due, link = True, self.link

        def look() -> None:
            chat.look_due = False
            if self.ready and self.link is link:
                self.request_sync([chat])

        self.load.loop.call_at(self.load.loop.now + int(random.uniform(*LOOK_AFTER) * 1e9), look)

    def record_fetched(self, chat_id: int, message: frames.Message) -> None:
        number = self.load.ids.number(message.client_id or "")
        text = digest(message.content or "")
        self.record(Kind.FETCHED, chat_id, message.seq, message.rev, number, message.sender.id, text)

    def request_last_sync(self, done: Callable[[], None]) -> None:
        """Request the last sync of this client, with all watermarks in one frame."""

        def finished() -> None:
            self.record(Kind.FINISHED, client=self.number, other=self.account.user)
            done()

        self.request_sync(None, finished)

    def record(
        self, kind: int, chat: int = 0, seq: int = 0, rev: int = 0, client: int = FOREIGN, other: int = 0, text: int = 0
    ) -> None:
        assert self.link is not None
        self.load.record((kind, self.load.loop.now, self.link.number, chat, seq, rev, client, other, text))
