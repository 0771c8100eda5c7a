"""`indicators`: bytes of typing, delivered and seen marks beside those of messages, and the time from mark to receipt.

First come dialogues in real time; half of the chats have clients in bytes, the other half the same dialogues in JSON.
Then 250 pairs send 500 marks/s in all; each latency runs from the time at which a mark was due to the other's receipt.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import run
from bench.cost import cpu_seconds, machine_seconds
from bench.dialogue import LOOKING_SHARE, Act, make_dialogue, reading_seconds
from bench.figures import percentile
from bench.fixtures import Chat, FixtureRequest, Fixtures, Group
from bench.indicators import ACTIVE, DELIVERED, SEEN, TYPING, Meter, Person
from bench.run import Options, Result, print_progress
from bench.servers import Servers
from bench.wire import Loop

SECONDS = 60
PAIRS, GROUPS, GROUP_MEMBERS = 48, 12, 5
MARKED_PAIRS, MARKS_PER_S = 250, 500
LEAD = 0.2
READ_EVERY = 1.0  # F115
SETTLING = 3.0
PATIENCE = 60
NANO = 1_000_000_000
KINDS = ("compact", "json")
DOES = {"type": TYPING | ACTIVE, "stop": TYPING}


def request_chats(names: int, pairs: int, groups: int = 0) -> FixtureRequest:
    """Return the people and their chats, each person in one chat."""
    places = iter(range(names))
    return FixtureRequest(
        [f"Person {place}" for place in range(names)],
        pairs=[(next(places), next(places)) for _ in range(pairs)],
        groups=[Group(f"Group {number}", [next(places) for _ in range(GROUP_MEMBERS)]) for number in range(groups)],
    )


@contextmanager
def connect_chats(
    loop: Loop, parley: Servers, fixtures: Fixtures, kinds: list[tuple[Meter, bool]]
) -> Iterator[list[list[Person]]]:
    """Connect the members of each chat with its meter and encoding; yield them by chat."""
    members_by_chat: list[list[Person]] = []
    for chat, (meter, compact) in zip(fixtures.chats, kinds, strict=True):
        rows = [fixtures.people[place] for place in chat.members]
        members_by_chat.append(
            [Person(loop, parley.address, each.id, each.token, meter, compact=compact) for each in rows]
        )
        if not loop.run(lambda: all(each.ready for each in members_by_chat[-1]), loop.now + PATIENCE * NANO):
            raise RuntimeError("the server sends no hello")
    yield members_by_chat
    for each in (each for members in members_by_chat for each in members):
        each.disconnect()


@dataclass
class Reader:
    """One member of a chat: sends delivered marks at once.

    If it `looks`, it sends a seen mark after the time of reading, at most one a second.
    """

    loop: Loop
    person: Person
    chat: int
    looks: bool
    held: int = 0
    read: int = 0
    due: bool = field(default=False)

    def receive(self, person: Person, chat: int, seq: int, text: str) -> None:
        self.held = seq
        person.send_indicator(DELIVERED, chat, seq)
        if self.looks and not self.due:
            self.due = True
            self.loop.call_at(self.loop.now + int(max(READ_EVERY, reading_seconds(text)) * NANO), self.mark_seen)

    def mark_seen(self) -> None:
        self.due = False
        if self.held > self.read:
            self.read = self.held
            self.person.send_indicator(SEEN, self.chat, self.held)

    def perform(self, act: Act) -> None:
        """Perform an act of the dialogue; a member that writes has seen the chat."""
        self.mark_seen()
        if act.action == "say":
            self.person.send_message(self.chat, act.text)
        else:
            self.person.send_indicator(DOES[act.action], self.chat)


def schedule_dialogues(loop: Loop, chats: list[Chat], members_by_chat: list[list[Person]], seconds: float) -> None:
    """Schedule every dialogue on the loop; two neighbouring chats of different encoding get the same one."""
    start, texts = time.monotonic_ns() + int(LEAD * NANO), run.sample_texts()
    for number, (chat, members) in enumerate(zip(chats, members_by_chat, strict=True)):
        source = random.Random(number // len(KINDS))
        readers = [Reader(loop, each, chat.id, source.random() < LOOKING_SHARE) for each in members]
        for reader in readers:
            reader.person.on_message = reader.receive
        for act in make_dialogue(source, len(members), seconds, texts):
            loop.call_at(start + int(act.at * NANO), lambda reader=readers[act.member], act=act: reader.perform(act))  # type: ignore[misc]


def measure_dialogues(parley: Servers, seconds: float) -> dict[str, float | None]:
    """Run the dialogues; return the bytes of indicators by kind of chat and encoding."""
    pairs, groups = PAIRS * len(KINDS), GROUPS * len(KINDS)
    fixtures = run.create_fixtures(parley, request_chats(2 * pairs + GROUP_MEMBERS * groups, pairs, groups))
    sizes = ["pairs"] * pairs + ["groups"] * groups
    meters = {(kind, size): Meter() for kind in KINDS for size in ("pairs", "groups")}
    of_chat = [(KINDS[number % len(KINDS)], size) for number, size in enumerate(sizes)]
    loop = Loop()
    with connect_chats(
        loop, parley, fixtures, [(meters[key], key[0] == "compact") for key in of_chat]
    ) as members_by_chat:
        schedule_dialogues(loop, fixtures.chats, members_by_chat, seconds)
        loop.run(lambda: False, time.monotonic_ns() + int((LEAD + seconds + SETTLING) * NANO))
    return indicator_costs(meters)


def indicator_costs(meters: dict[tuple[str, str], Meter]) -> dict[str, float | None]:
    """Return indicator bytes in percent of message bytes, for all chats, pairs and groups, without and with headers."""
    costs: dict[str, float | None] = {}
    for kind in KINDS:
        total = Meter()
        for (of_kind, size), meter in meters.items():
            if of_kind == kind:
                total.content += meter.content
                total.wire += meter.wire
                total.frames += meter.frames
                costs[f"{kind}_{size}_overhead_percent"] = meter.percent(meter.content)
        costs[f"{kind}_overhead_percent"] = total.percent(total.content)
        costs[f"{kind}_framed_overhead_percent"] = total.percent(total.wire)
        costs |= {f"{kind}_{part}_bytes": total.content[part] for part in ("indicator", "message")}
        costs |= {f"{kind}_{part}_frames": total.frames[part] for part in ("indicator", "message")}
    return costs


class Marks:
    """Marks that were due, and the latencies of their receipts; a receipt of a higher seq covers the lower ones."""

    def __init__(self) -> None:
        self.open: dict[tuple[int, int], dict[int, int]] = {}
        self.propagation_ms: list[float] = []
        self.due = 0

    def expect(self, state: int, chat: int, seq: int, due: int) -> None:
        self.due += 1
        self.open.setdefault((state, chat), {})[seq] = due

    def receive_receipt(self, person: Person, state: int, chat: int, seq: int) -> None:
        for lower in (state, DELIVERED) if state == SEEN else (state,):
            waiting = self.open.get((lower, chat), {})
            for known in [known for known in waiting if known <= seq]:
                self.propagation_ms.append((person.loop.now - waiting.pop(known)) / 1e6)


def measure_marks(parley: Servers, seconds: float) -> tuple[Marks, dict[str, float], float, float]:
    """Let one of each pair mark the other's messages; return marks, CPU by part, seconds, CPU of other programs."""
    fixtures = run.create_fixtures(parley, request_chats(2 * MARKED_PAIRS, MARKED_PAIRS))
    loop, marks, meter = Loop(), Marks(), Meter()
    each_s = MARKED_PAIRS / MARKS_PER_S
    count = max(2, int(seconds / each_s)) // 2 * 2
    with connect_chats(loop, parley, fixtures, [(meter, bool(n % 2)) for n in range(MARKED_PAIRS)]) as members_by_chat:
        write_messages(loop, fixtures, members_by_chat, count // 2)
        start = time.monotonic_ns() + int(LEAD * NANO)
        for number, (chat, (writer, reader)) in enumerate(zip(fixtures.chats, members_by_chat, strict=True)):
            writer.on_receipt = marks.receive_receipt
            for turn in range(count):
                due = start + int((turn + number / MARKED_PAIRS) * each_s * NANO)
                loop.call_at(
                    due, mark_when_due(marks, reader, (DELIVERED, SEEN)[turn % 2], chat.id, turn // 2 + 1, due)
                )
        roots = parley.root_pids()
        before, busy, own = cpu_seconds(roots.values()), machine_seconds(), time.process_time()
        loop.run(lambda: False, start + int(count * each_s * NANO))
        duration = count * each_s
        after = cpu_seconds(roots.values())
        cpu = {name: after[pid] - before[pid] for name, pid in roots.items()}
        others = machine_seconds() - busy - (time.process_time() - own) - sum(cpu.values())
        loop.run(lambda: len(marks.propagation_ms) == marks.due, loop.now + int(SETTLING * NANO))
    return marks, cpu, duration, others


def mark_when_due(marks: Marks, reader: Person, state: int, chat: int, seq: int, due: int) -> Callable[[], None]:
    """Return a callback that sends a mark and records when it was due."""

    def call() -> None:
        marks.expect(state, chat, seq, due)
        reader.send_indicator(state, chat, seq)

    return call


def write_messages(loop: Loop, fixtures: Fixtures, members_by_chat: list[list[Person]], count: int) -> None:
    """Let the first of each pair write `count` messages."""
    for turn in range(1, count + 1):
        for chat, (writer, _) in zip(fixtures.chats, members_by_chat, strict=True):
            writer.send_message(chat.id, "a message to be marked")
        done = loop.run(lambda turn=turn: all(w.acked >= turn for w, _ in members_by_chat), loop.now + PATIENCE * NANO)  # type: ignore[misc]
        if not done:
            raise RuntimeError("the server does not ack")


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    seconds = options.seconds_or(SECONDS)
    print_progress(f"indicators: {2 * (PAIRS + GROUPS)} chats talk for {seconds:g} s")
    costs = measure_dialogues(parley, seconds)
    print_progress(f"indicators: {MARKS_PER_S} marks/s")
    marks, cpu, duration, others = measure_marks(parley, seconds / 3)
    propagation = sorted(marks.propagation_ms)
    costs |= {f"propagation_p{p}_ms": percentile(propagation, p) for p in (50, 95, 99)}
    costs |= {"marks_per_s": marks.due / duration, "marks_without_receipt": marks.due - len(propagation),
              "others_cpu_percent": others / duration * 100}  # fmt: skip
    return Result("indicators", "mark", marks.due, duration, cpu, limits=limits, extra=dict(costs),
                  floor_cpu_ms=limits.echo.cpu_ms)  # fmt: skip
