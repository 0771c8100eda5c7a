"""One load process: its clients on one loop, driven by commands from the scenario through a pipe.

Knows no scenario: it connects clients, sends given messages when they are due, drains, syncs and disconnects.
"""

import http.client
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import msgspec

from bench import frames
from bench.client import Client
from bench.client_state import Account, Chat, Waiting
from bench.history import ClientIds, Writer, digest, message_numbers
from bench.wire import Loop

HANDSHAKES = 32
PARSED_LIMIT = 2048
Texts = list[str]


def do_nothing(*_: object) -> None:
    """The callback while no command waits for an event."""


class Plan(msgspec.Struct):
    """The arguments of a load process."""

    process: int
    prefix: str
    history: Path
    addresses: list[tuple[str, int]]
    accounts: list[Account]
    window: int = 1
    page: int = 100


class Due(msgspec.Struct):
    """One message of an open loop: nanoseconds after the start, index of the client, chat, text."""

    after: int
    client: int
    chat: str
    text: str


class Load:
    """The state of one load process. A scenario calls its `do_` methods by name, as commands."""

    def __init__(self, plan: Plan, pipe: Pipe) -> None:
        self.plan, self.pipe = plan, pipe
        self.addresses, self.window = plan.addresses, plan.window
        self.ids, self.loop = ClientIds(plan.prefix), Loop()
        self.writer = Writer(plan.history)
        self.record = self.writer.add
        self.now = time.monotonic_ns
        self.next_number = message_numbers(plan.process).__next__
        self.connections = plan.process << 40
        self.counts: Counter[str] = Counter()
        self.parsed: dict[bytes, frames.Arrival] = {}
        self.on_acked: Callable[[Client, Chat], None] = do_nothing
        self.on_connected: Callable[[], None] = do_nothing
        self.undelivered: dict[int, list[Any]] = {}
        self.stopped = False
        self.quit = False
        self.clients = [Client(self, (plan.process << 32) + n, each) for n, each in enumerate(plan.accounts)]
        self.loop.add_reader(pipe.fileno(), self.run_command)

    # Called by clients.

    def next_connection(self) -> int:
        self.connections += 1
        return self.connections

    def next_id(self) -> str:
        return self.ids.text(self.next_number())

    def handle_connected(self) -> None:
        self.counts["connected"] += 1
        self.on_connected()

    def count_close(self, code: int, reason: str) -> None:
        self.counts[f"closed {code} {reason}".strip()] += 1

    def count_refusal(self, error: frames.Fault) -> None:
        self.counts[f"refused {error.code} {error.message}"] += 1

    def count(self, event: str) -> None:
        self.counts[event] += 1

    def handle_ack(self, client: Client, chat: Chat) -> None:
        self.counts["acked"] += 1
        self.on_acked(client, chat)

    def read_delivery(self, body: bytes) -> frames.Arrival:
        """Return a delivered message, parsed once for all clients: the server sends all of them the same bytes."""
        arrival = self.parsed.get(body)
        if arrival is None:
            if len(self.parsed) >= PARSED_LIMIT:
                self.parsed.clear()
            arrival = self.parsed[body] = self.parse_delivery(body)
        self.counts["delivered"] += 1
        if self.undelivered:
            self.count_delivery(arrival.client)
        return arrival

    def parse_delivery(self, body: bytes) -> frames.Arrival:
        payload = frames.read_new(body).payload
        message = payload.message
        client, text = self.ids.number(message.client_id or ""), digest(message.content or "")
        chat = payload.chat_id
        return frames.Arrival(str(chat), chat, message.seq, message.rev, client, message.sender.id, text)

    def fetch_pages(self, client: Client, chat: Chat, upto: int) -> None:
        """Load a conversation over REST, oldest first, as a client does after `tooLarge` (protocol 2.8)."""
        web = http.client.HTTPConnection(*self.addresses[0])
        after, headers = chat.seq, {"Authorization": f"Bearer {client.account.token}"}
        while after < upto:
            web.request("GET", f"/api/v1/conversations/{chat.wire_id}/messages?after={after}&limit={self.plan.page}",
                        headers=headers)  # fmt: skip
            answer = web.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"history page: {answer.status} {body[:300]!r}")
            page = frames.read_page(body)
            for message in page.results:
                client.record_fetched(chat.id, message)
            self.counts["pages"] += 1
            if not page.has_more:
                break
            after = page.results[-1].seq
        web.close()

    # Commands of a scenario.

    def run_command(self, mask: int) -> None:
        name, arguments = self.pipe.recv()
        getattr(self, f"do_{name}")(*arguments)

    def answer(self, value: Any = None) -> None:
        self.pipe.send(value)

    def do_connect(self, first: int, last: int) -> None:
        """Connect the clients first to last-1, HANDSHAKES at a time; answer when all have received hello."""
        waiting = iter(self.clients[first:last])
        already = self.counts["connected"]

        def connect_next() -> None:
            following = next(waiting, None)
            if following:
                following.connect()
            elif self.counts["connected"] - already == last - first:
                self.on_connected = do_nothing
                self.answer()

        if first == last:
            self.answer()
            return
        self.on_connected = connect_next
        for _ in range(min(HANDSHAKES, last - first)):
            next(waiting).connect()

    def do_counts(self) -> None:
        self.answer(dict(self.counts))

    def do_open_loop(self, start: int, due: list[Due]) -> None:
        """Send every message when it is due; with another in flight in its conversation it is queued."""
        queue = iter(due)

        def send(each: Due) -> Callable[[], None]:
            def call() -> None:
                if self.stopped:
                    return
                client = self.clients[each.client]
                client.enqueue(client.chats[each.chat], Waiting(start + each.after, each.text))
                schedule()

            return call

        def schedule() -> None:
            each = next(queue, None)
            if each:
                self.loop.call_at(start + each.after, send(each))

        schedule()

    def do_closed_loop(self, texts: Texts, senders: int) -> None:
        """Let the first `senders` clients send to each of their chats, and again at every ack."""
        turn = cycle(texts)

        def send(client: Client, chat: Chat) -> None:
            client.enqueue(chat, Waiting(self.now(), next(turn)))

        self.on_acked = send
        for client in self.clients[:senders]:
            for chat in client.chats.values():
                for _ in range(self.window):
                    send(client, chat)

    def do_fanout_loop(self, texts: Texts, senders: int, members: int, wire_id: str = "") -> None:
        """Let the first `senders` clients send again when the first `members` clients here have their message.

        They send to the chat `wire_id`, or to their first chat. Sending again at the ack would only fill the queues of
        the receivers, because the work is in the delivery.
        """
        turn = cycle(texts)

        def send(client: Client, chat: Chat) -> None:
            waiting = Waiting(self.now(), next(turn))
            client.enqueue(chat, waiting)
            self.undelivered[waiting.number] = [members - 1, lambda: send(client, chat)]

        for client in self.clients[:senders]:
            send(client, client.chats[wire_id or next(iter(client.chats))])

    def count_delivery(self, number: int) -> None:
        pending = self.undelivered.get(number)
        if pending is None:
            return
        pending[0] -= 1
        if pending[0] <= 0:
            del self.undelivered[number]
            pending[1]()

    def do_send(self, client: int, chat: str, texts: Texts) -> None:
        """Let one client send these texts as fast as its window allows; answer when all are acked."""
        sender = self.clients[client]

        def acked(_: Client, conversation: Chat) -> None:
            if not conversation.outbox and not conversation.in_flight:
                self.on_acked = do_nothing
                self.answer()

        self.on_acked = acked
        for text in texts:
            sender.enqueue(sender.chats[chat], Waiting(self.now(), text))

    def do_stop(self, patience: float) -> None:
        """Send nothing new; answer when all messages are acked and all clients are connected.

        The answer, at the latest after `patience` seconds, is the number of messages still un-acked.
        """
        self.stopped = True
        self.on_acked = do_nothing
        self.undelivered.clear()
        deadline = self.now() + int(patience * 1e9)

        def look() -> None:
            unacked = sum(
                len(chat.outbox) + len(chat.in_flight) for each in self.clients for chat in each.chats.values()
            )
            reconnecting = any(each.keep_connected and not each.ready for each in self.clients)
            if (unacked or reconnecting) and self.now() < deadline:
                self.loop.call_at(self.loop.now + 20_000_000, look)
            else:
                self.answer(unacked)

        look()

    def do_last_sync(self) -> None:
        """Let connected clients make their last sync, HANDSHAKES at a time; answer with the number of the others."""
        connected = [each for each in self.clients if each.ready]
        queue, left = iter(connected), len(connected)

        def done() -> None:
            nonlocal left
            left -= 1
            following = next(queue, None)
            if following:
                following.request_last_sync(done)
            elif not left:
                self.answer(sum(each.keep_connected and not each.ready for each in self.clients))

        for each in [*zip(range(HANDSHAKES), queue, strict=False)]:
            each[1].request_last_sync(done)
        if not connected:
            self.answer(0)

    def do_sync(self, client: int) -> None:
        """Connect one client and sync all its conversations; answer with the milliseconds from request to last page."""
        returning = self.clients[client]

        def connected() -> None:
            self.on_connected = do_nothing
            start = self.now()

            def done() -> None:
                self.answer((self.now() - start) / 1e6)

            returning.request_sync(None, done)

        self.on_connected = connected
        returning.connect()

    def do_disconnect(self) -> None:
        for client in self.clients:
            client.disconnect()
        self.answer()

    def do_quit(self) -> None:
        """Write the history and exit."""
        self.writer.flush()
        self.quit = True
        self.answer()


def main(plan: Plan, pipe: Pipe) -> None:
    """Run a load process until the command `quit`, or until its scenario has ended."""
    load = Load(plan, pipe)
    try:
        load.loop.run(lambda: load.quit)
    except EOFError:
        os._exit(1)


class Process:
    """The scenario's end of a load process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=main, args=(plan, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def send_command(self, name: str, *arguments: Any) -> None:
        self.pipe.send((name, arguments))

    def receive_answer(self, timeout: float = 60) -> Any:
        """Return the oldest answer not yet received. Raises TimeoutError."""
        if not self.pipe.poll(timeout):
            raise TimeoutError(f"load process {self.plan.process} did not answer within {timeout} s")
        return self.pipe.recv()

    def call(self, name: str, *arguments: Any, timeout: float = 60) -> Any:
        self.send_command(name, *arguments)
        return self.receive_answer(timeout)


def call_all(processes: list[Process], name: str, *arguments: Any, timeout: float = 60) -> list[Any]:
    """Send a command to all processes at once and return their answers."""
    for process in processes:
        process.send_command(name, *arguments)
    return [process.receive_answer(timeout) for process in processes]
