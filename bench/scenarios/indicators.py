"""`indicators`: what typing, delivered and seen cost beside the messages, in JSON and in bytes; and how fast marks are told.

Talking: the same dialogues, half of the chats with clients of one kind, half of the other, in real time. Marking: 250 pairs
at 500 marks/s in all; from the moment at which a mark was due to its receipt at the other one.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import run
from bench.cost import cpu_seconds, machine_seconds
from bench.dialogue import LOOKS, Act, dialogue, reading_time
from bench.figures import percentile
from bench.fixtures import Chat, Group, Made, Wanted
from bench.indicators import ACTIVE, DELIVERED, SEEN, TYPING, Meter, Person
from bench.run import Options, Result, say
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


def people(names: int, pairs: int, groups: int = 0) -> Wanted:
    """Return everybody of some chats; nobody is in two."""
    places = iter(range(names))
    return Wanted(
        [f"Person {place}" for place in range(names)],
        pairs=[(next(places), next(places)) for _ in range(pairs)],
        groups=[Group(f"Group {number}", [next(places) for _ in range(GROUP_MEMBERS)]) for number in range(groups)],
    )


@contextmanager
def connected(loop: Loop, house: Servers, made: Made, kinds: list[tuple[Meter, bool]]) -> Iterator[list[list[Person]]]:
    """Connect the members of each chat, with its meter and in bytes or not; returns them by chat."""
    present: list[list[Person]] = []
    for chat, (meter, compact) in zip(made.chats, kinds, strict=True):
        rows = [made.people[place] for place in chat.members]
        present.append([Person(loop, house.address, each.id, each.token, meter, compact=compact) for each in rows])
        if not loop.run(lambda: all(each.greeted for each in present[-1]), loop.now + PATIENCE * NANO):
            raise RuntimeError("the server says no hello")
    yield present
    for each in (each for members in present for each in members):
        each.leave()


@dataclass
class Reader:
    """One member of a chat: marks at once what arrives, and what is on the screen after reading it, once a second at most."""

    loop: Loop
    person: Person
    chat: int
    looks: bool
    held: int = 0
    read: int = 0
    due: bool = field(default=False)

    def arrived(self, person: Person, chat: int, seq: int, text: str) -> None:
        self.held = seq
        person.tell(DELIVERED, chat, seq)
        if self.looks and not self.due:
            self.due = True
            self.loop.at(self.loop.now + int(max(READ_EVERY, reading_time(text)) * NANO), self.see)

    def see(self) -> None:
        self.due = False
        if self.held > self.read:
            self.read = self.held
            self.person.tell(SEEN, self.chat, self.held)

    def act(self, act: Act) -> None:
        """Do what the dialogue says; whoever writes has the chat on the screen."""
        self.see()
        if act.what == "say":
            self.person.say(self.chat, act.text)
        else:
            self.person.tell(DOES[act.what], self.chat)


def plan(loop: Loop, chats: list[Chat], present: list[list[Person]], seconds: float) -> None:
    """Put every dialogue on the loop's clock; a chat and its twin of the other kind get the same one."""
    start, texts = time.monotonic_ns() + int(LEAD * NANO), run.texts()
    for number, (chat, members) in enumerate(zip(chats, present, strict=True)):
        source = random.Random(number // len(KINDS))
        readers = [Reader(loop, each, chat.id, source.random() < LOOKS) for each in members]
        for reader in readers:
            reader.person.on_message = reader.arrived
        for act in dialogue(source, len(members), seconds, texts):
            loop.at(start + int(act.at * NANO), lambda reader=readers[act.who], act=act: reader.act(act))  # type: ignore[misc]


def talk(house: Servers, seconds: float) -> dict[str, float]:
    """Let people talk; return what the indicators cost in each kind of chat and encoding."""
    pairs, groups = PAIRS * len(KINDS), GROUPS * len(KINDS)
    made = run.make(house, people(2 * pairs + GROUP_MEMBERS * groups, pairs, groups))
    sizes = ["pairs"] * pairs + ["groups"] * groups
    meters = {(kind, size): Meter() for kind in KINDS for size in ("pairs", "groups")}
    of_chat = [(KINDS[number % len(KINDS)], size) for number, size in enumerate(sizes)]
    loop = Loop()
    with connected(loop, house, made, [(meters[key], key[0] == "compact") for key in of_chat]) as present:
        plan(loop, made.chats, present, seconds)
        loop.run(lambda: False, time.monotonic_ns() + int((LEAD + seconds + SETTLING) * NANO))
    return costs(meters)


def costs(meters: dict[tuple[str, str], Meter]) -> dict[str, float]:
    """Return indicator bytes over message bytes in percent: all, pairs and groups; of content, and with headers."""
    found: dict[str, float] = {}
    for kind in KINDS:
        total = Meter()
        for (of_kind, size), meter in meters.items():
            if of_kind == kind:
                total.content += meter.content
                total.wire += meter.wire
                total.frames += meter.frames
                found[f"{kind}_{size}_overhead_percent"] = meter.percent(meter.content)
        found[f"{kind}_overhead_percent"] = total.percent(total.content)
        found[f"{kind}_framed_overhead_percent"] = total.percent(total.wire)
        found |= {f"{kind}_{what}_bytes": total.content[what] for what in ("indicator", "message")}
        found |= {f"{kind}_{what}_frames": total.frames[what] for what in ("indicator", "message")}
    return found


class Marks:
    """Marks that were due, and when the other one learnt of each; a higher one tells of the lower ones as well."""

    def __init__(self) -> None:
        self.open: dict[tuple[int, int], dict[int, int]] = {}
        self.told_ms: list[float] = []
        self.due = 0

    def expect(self, state: int, chat: int, seq: int, due: int) -> None:
        self.due += 1
        self.open.setdefault((state, chat), {})[seq] = due

    def told(self, person: Person, state: int, chat: int, seq: int) -> None:
        for lower in (state, DELIVERED) if state == SEEN else (state,):
            waiting = self.open.get((lower, chat), {})
            for known in [known for known in waiting if known <= seq]:
                self.told_ms.append((person.loop.now - waiting.pop(known)) / 1e6)


def mark(house: Servers, seconds: float) -> tuple[Marks, dict[str, float], float, float]:
    """Let one of each pair mark what the other wrote; return the marks, the servers' CPU, the seconds, the CPU of others."""
    made = run.make(house, people(2 * MARKED_PAIRS, MARKED_PAIRS))
    loop, marks, meter = Loop(), Marks(), Meter()
    each_s = MARKED_PAIRS / MARKS_PER_S
    count = max(2, int(seconds / each_s)) // 2 * 2
    with connected(loop, house, made, [(meter, bool(n % 2)) for n in range(MARKED_PAIRS)]) as present:
        fill(loop, made, present, count // 2)
        start = time.monotonic_ns() + int(LEAD * NANO)
        for number, (chat, (writer, reader)) in enumerate(zip(made.chats, present, strict=True)):
            writer.on_told = marks.told
            for turn in range(count):
                due = start + int((turn + number / MARKED_PAIRS) * each_s * NANO)
                loop.at(due, marking(marks, reader, (DELIVERED, SEEN)[turn % 2], chat.id, turn // 2 + 1, due))
        roots = house.roots()
        before, busy, own = cpu_seconds(roots.values()), machine_seconds(), time.process_time()
        loop.run(lambda: False, start + int(count * each_s * NANO))
        took = count * each_s
        after = cpu_seconds(roots.values())
        spent = {name: after[pid] - before[pid] for name, pid in roots.items()}
        others = machine_seconds() - busy - (time.process_time() - own) - sum(spent.values())
        loop.run(lambda: len(marks.told_ms) == marks.due, loop.now + int(SETTLING * NANO))
    return marks, spent, took, others


def marking(marks: Marks, reader: Person, state: int, chat: int, seq: int, due: int):  # type: ignore[no-untyped-def]
    """Return what a reader does when a mark is due."""

    def call() -> None:
        marks.expect(state, chat, seq, due)
        reader.tell(state, chat, seq)

    return call


def fill(loop: Loop, made: Made, present: list[list[Person]], count: int) -> None:
    """Let the first of each pair write so many messages."""
    for turn in range(1, count + 1):
        for chat, (writer, _) in zip(made.chats, present, strict=True):
            writer.say(chat.id, "a message to be marked")
        done = loop.run(lambda turn=turn: all(w.acked >= turn for w, _ in present), loop.now + PATIENCE * NANO)  # type: ignore[misc]
        if not done:
            raise RuntimeError("the server does not ack")


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    seconds = options.lasts(SECONDS)
    say(f"indicators: {2 * (PAIRS + GROUPS)} chats talk for {seconds:g} s")
    found = talk(house, seconds)
    say(f"indicators: {MARKS_PER_S} marks/s")
    marks, spent, took, others = mark(house, seconds / 3)
    told = sorted(marks.told_ms)
    found |= {f"propagation_p{p}_ms": percentile(told, p) or 0.0 for p in (50, 95, 99)}
    found |= {"marks_per_s": marks.due / took, "marks_untold": marks.due - len(told),
              "others_cpu_percent": others / took * 100}  # fmt: skip
    return Result("indicators", "mark", marks.due, took, spent, limits=limits, extra=dict(found),
                  floor_cpu_ms=limits.echo.cpu_ms)  # fmt: skip
