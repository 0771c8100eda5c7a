"""`sync`: clients come back after a thousand messages, and after ten thousand: the time until they hold them all.

Above 500 in one conversation the server says `tooLarge`, and the client loads it page by page over REST (protocol 2.8).
A third crowd missed its thousand in ten conversations, a hundred each, which one answer brings.
"""

import time

from bench import ceilings, run
from bench.figures import percentile
from bench.fixtures import Group, Wanted
from bench.run import Options, Result, Run
from bench.servers import Servers

WRITER = 0
SECONDS = 15
WINDOW = 32
# The name of each figure, and the conversations that its crowd has missed: how many, with how many messages each.
MISSED = {"sync": (1, 1000), "sync_chats": (10, 100), "sync_10000": (1, 10000)}


def crowd(number: int, size: int) -> list[int]:
    """Return the places of the people of one figure: the writer is 0."""
    return list(range(1 + number * size, 1 + (number + 1) * size))


def wanted(size: int) -> Wanted:
    names = ["Writer", *(f"Returning {number}" for number in range(size * len(MISSED)))]
    groups = [
        Group(f"{name} {chat}", [WRITER, *crowd(number, size)])
        for number, (name, (chats, _)) in enumerate(MISSED.items())
        for chat in range(chats)
    ]
    return Wanted(names, groups=groups)


def write(load: Run) -> None:
    """Let the writer fill every conversation while nobody else is there."""
    load.processes[0].ask("connect", 0, 1)
    sizes = [messages for chats, messages in MISSED.values() for _ in range(chats)]
    texts = run.texts()
    for chat, messages in zip(load.made.chats, sizes, strict=True):
        load.processes[0].ask("send", 0, str(chat.id), (texts * (messages // len(texts) + 1))[:messages], timeout=300)


def come_back(load: Run, number: int, size: int) -> list[float]:
    """Let each of a crowd connect and sync, one after the other; return the milliseconds of each, ascending."""
    return sorted(load.processes[1].ask("sync", place - 1) for place in crowd(number, size))


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    size = max(3, round(options.lasts(SECONDS)))
    made = run.make(house, wanted(size))
    everybody = run.accounts(made)
    extra: dict[str, float | None] = {}
    with run.run(house, made, [everybody[:1], everybody[1:]], window=WINDOW) as load:
        write(load)
        selects = ceilings.selects(house.dsn, [chat.id for chat in made.chats], run.limit_seconds(options))
        before, start = load.read_cpu(), time.monotonic()
        for number, name in enumerate(MISSED):
            took = come_back(load, number, size)
            extra |= {f"{name}_ms": percentile(took, 50), f"{name}_p95_ms": percentile(took, 95)}
        seconds = time.monotonic() - start
        cpu = {name: spent - before[name] for name, spent in load.read_cpu().items()}
        load.settle()
        verdict = load.judge()
    fetched = size * sum(chats * messages for chats, messages in MISSED.values())
    extra |= {"runs": size, "select_cpu_ms": selects.cpu_ms}
    return Result("sync", "message", fetched, seconds, cpu, None, verdict, limits, load.counts, extra,
                  floor_cpu_ms=selects.cpu_ms)  # fmt: skip
