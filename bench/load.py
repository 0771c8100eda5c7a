"""One load process: its clients on one loop, driven by commands from the scenario through a pipe.

Knows nothing of scenarios: it connects, sends what it is given when it is due, settles, syncs and leaves.
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
from bench.held import Account, Chat, Waiting
from bench.history import ClientIds, Writer, digest, numbers
from bench.wire import Loop

HANDSHAKES = 32
MEMO = 2048
Texts = list[str]


def nothing(*_: object) -> None:
    """What follows where no command waits for an event."""


class Plan(msgspec.Struct):
    """What a load process is born with."""

    process: int
    prefix: str
    history: Path
    addresses: list[tuple[str, int]]
    accounts: list[Account]
    window: int = 1
    page: int = 100


class Due(msgspec.Struct):
    """One message of an open loop: when (nanoseconds after the start), from which client, to which chat, what."""

    after: int
    client: int
    chat: str
    text: str


class Load:
    """The state of one load process. Its methods named like commands are what a scenario may ask."""

    def __init__(self, plan: Plan, pipe: Pipe) -> None:
        self.plan, self.pipe = plan, pipe
        self.addresses, self.window = plan.addresses, plan.window
        self.ids, self.loop = ClientIds(plan.prefix), Loop()
        self.writer = Writer(plan.history)
        self.note = self.writer.add
        self.now = time.monotonic_ns
        self.next_number = numbers(plan.process).__next__
        self.connections = plan.process << 40
        self.counts: Counter[str] = Counter()
        self.memo: dict[bytes, frames.Arrival] = {}
        self.on_acked: Callable[[Client, Chat], None] = nothing
        self.on_connected: Callable[[], None] = nothing
        self.awaited: dict[int, list[Any]] = {}
        self.stopped = False
        self.quit = False
        self.clients = [Client(self, (plan.process << 32) + n, each) for n, each in enumerate(plan.accounts)]
        self.loop.add(pipe.fileno(), self.command)

    # What clients tell.

    def next_connection(self) -> int:
        self.connections += 1
        return self.connections

    def next_id(self) -> str:
        return self.ids.text(self.next_number())

    def connected(self) -> None:
        self.counts["connected"] += 1
        self.on_connected()

    def closed(self, code: int, reason: str) -> None:
        self.counts[f"closed {code} {reason}".strip()] += 1

    def refused(self, error: frames.Fault) -> None:
        self.counts[f"refused {error.code} {error.message}"] += 1

    def counted(self, what: str) -> None:
        self.counts[what] += 1

    def acked(self, client: Client, chat: Chat) -> None:
        self.counts["acked"] += 1
        self.on_acked(client, chat)

    def arrived(self, body: bytes) -> frames.Arrival:
        """Read a message; the server encodes it once for all, so it is read once for all."""
        arrival = self.memo.get(body)
        if arrival is None:
            if len(self.memo) >= MEMO:
                self.memo.clear()
            arrival = self.memo[body] = self.read(body)
        self.counts["delivered"] += 1
        if self.awaited:
            self.tick(arrival.client)
        return arrival

    def read(self, body: bytes) -> frames.Arrival:
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
                client.fetched(chat.id, message)
            self.counts["pages"] += 1
            if not page.has_more:
                break
            after = page.results[-1].seq
        web.close()

    # What a scenario asks.

    def command(self, mask: int) -> None:
        name, arguments = self.pipe.recv()
        getattr(self, f"do_{name}")(*arguments)

    def answer(self, what: Any = None) -> None:
        self.pipe.send(what)

    def do_connect(self, first: int, last: int) -> None:
        """Connect the clients first to last-1, some at a time; answers when all have had their hello."""
        waiting = iter(self.clients[first:last])
        already = self.counts["connected"]

        def more() -> None:
            following = next(waiting, None)
            if following:
                following.connect()
            elif self.counts["connected"] - already == last - first:
                self.on_connected = nothing
                self.answer()

        if first == last:
            self.answer()
            return
        self.on_connected = more
        for _ in range(min(HANDSHAKES, last - first)):
            next(waiting).connect()

    def do_counts(self) -> None:
        self.answer(dict(self.counts))

    def do_open_loop(self, start: int, due: list[Due]) -> None:
        """Send every message when it is due, acked or not (one in flight a conversation: then it waits its turn)."""
        queue = iter(due)

        def send(each: Due) -> Callable[[], None]:
            def call() -> None:
                if self.stopped:
                    return
                client = self.clients[each.client]
                client.post(client.chats[each.chat], Waiting(start + each.after, each.text))
                schedule()

            return call

        def schedule() -> None:
            each = next(queue, None)
            if each:
                self.loop.at(start + each.after, send(each))

        schedule()

    def do_closed_loop(self, texts: Texts, senders: int) -> None:
        """The first `senders` clients send to each of their chats, again whenever they get an ack."""
        turn = cycle(texts)

        def send(client: Client, chat: Chat) -> None:
            client.post(chat, Waiting(self.now(), next(turn)))

        self.on_acked = send
        for client in self.clients[:senders]:
            for chat in client.chats.values():
                for _ in range(self.window):
                    send(client, chat)

    def do_fanout_loop(self, texts: Texts, senders: int, members: int, wire_id: str = "") -> None:
        """The first `senders` clients send again when their message has reached the first `members` clients here.

        To the chat of that id, else to their first.

        A sender that went on at its ack would only fill the queues of the receivers: the work is the delivery.
        """
        turn = cycle(texts)

        def send(client: Client, chat: Chat) -> None:
            waiting = Waiting(self.now(), next(turn))
            client.post(chat, waiting)
            self.awaited[waiting.number] = [members - 1, lambda: send(client, chat)]

        for client in self.clients[:senders]:
            send(client, client.chats[wire_id or next(iter(client.chats))])

    def tick(self, number: int) -> None:
        awaited = self.awaited.get(number)
        if awaited is None:
            return
        awaited[0] -= 1
        if awaited[0] <= 0:
            del self.awaited[number]
            awaited[1]()

    def do_send(self, client: int, chat: str, texts: Texts) -> None:
        """One client sends these texts, as fast as its window lets it; answers when all are acked."""
        sender = self.clients[client]

        def acked(who: Client, where: Chat) -> None:
            if not where.outbox and not where.in_flight:
                self.on_acked = nothing
                self.answer()

        self.on_acked = acked
        for text in texts:
            sender.post(sender.chats[chat], Waiting(self.now(), text))

    def do_stop(self, patience: float) -> None:
        """Begin nothing more and answer, once nothing is un-acked and nobody on the way back, with how many messages still are."""
        self.stopped = True
        self.on_acked = nothing
        self.awaited.clear()
        deadline = self.now() + int(patience * 1e9)

        def look() -> None:
            open_ = sum(len(chat.outbox) + len(chat.in_flight) for each in self.clients for chat in each.chats.values())
            away = any(each.wanted and not each.ready for each in self.clients)
            if (open_ or away) and self.now() < deadline:
                self.loop.at(self.loop.now + 20_000_000, look)
            else:
                self.answer(open_)

        look()

    def do_finish(self) -> None:
        """Let every client that is there make its last sync, some at a time; answers with how many were not there."""
        here = [each for each in self.clients if each.ready]
        waiting, left = iter(here), len(here)

        def done() -> None:
            nonlocal left
            left -= 1
            following = next(waiting, None)
            if following:
                following.finish(done)
            elif not left:
                self.answer(sum(each.wanted and not each.ready for each in self.clients))

        for each in [*zip(range(HANDSHAKES), waiting, strict=False)]:
            each[1].finish(done)
        if not here:
            self.answer(0)

    def do_sync(self, client: int) -> None:
        """One client connects, syncs all its conversations, and leaves; answers with the milliseconds from request to end."""
        who = self.clients[client]

        def connected() -> None:
            self.on_connected = nothing
            start = self.now()

            def done() -> None:
                self.answer((self.now() - start) / 1e6)

            who.sync(None, done)

        self.on_connected = connected
        who.connect()

    def do_leave(self) -> None:
        for client in self.clients:
            client.leave()
        self.answer()

    def do_quit(self) -> None:
        """Write the history and end."""
        self.writer.flush()
        self.quit = True
        self.answer()


def main(plan: Plan, pipe: Pipe) -> None:
    """Run a load process until it is told to quit or its scenario is gone."""
    load = Load(plan, pipe)
    try:
        load.loop.run(lambda: load.quit)
    except EOFError:
        os._exit(1)


class Process:
    """A load process as the scenario holds it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=main, args=(plan, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, name: str, *arguments: Any) -> None:
        self.pipe.send((name, arguments))

    def result(self, timeout: float = 60) -> Any:
        """Return the answer to the oldest command that has one. Raises TimeoutError."""
        if not self.pipe.poll(timeout):
            raise TimeoutError(f"load process {self.plan.process} did not answer within {timeout} s")
        return self.pipe.recv()

    def ask(self, name: str, *arguments: Any, timeout: float = 60) -> Any:
        self.tell(name, *arguments)
        return self.result(timeout)


def ask_all(processes: list[Process], name: str, *arguments: Any, timeout: float = 60) -> list[Any]:
    """Ask all processes at once and return their answers."""
    for process in processes:
        process.tell(name, *arguments)
    return [process.result(timeout) for process in processes]
