"""`sync`: clients reconnect after missing 1,000 and 10,000 messages: the time until they have all of them.

Above 500 in one conversation the server says `tooLarge`, and the client loads it page by page over REST (protocol 2.8).
A third group of clients missed 1,000 messages in ten conversations, 100 each; one answer contains them all.
"""

import time

from bench import run
from bench.figures import percentile
from bench.fixtures import FixtureRequest, Group
from bench.limits import measure_selects
from bench.run import Options, Result, Run
from bench.servers import Servers

WRITER = 0
SECONDS = 15
WINDOW = 32
# By name of the figure: the number of conversations that its crowd missed, and the messages in each.
MISSED = {"sync": (1, 1000), "sync_chats": (10, 100), "sync_10000": (1, 10000)}


def crowd_places(number: int, size: int) -> list[int]:
    """Return the places of the people of one figure; place 0 is the writer."""
    return list(range(1 + number * size, 1 + (number + 1) * size))


def returning_crowds(size: int) -> FixtureRequest:
    names = ["Writer", *(f"Returning {number}" for number in range(size * len(MISSED)))]
    groups = [
        Group(f"{name} {chat}", [WRITER, *crowd_places(number, size)])
        for number, (name, (chats, _)) in enumerate(MISSED.items())
        for chat in range(chats)
    ]
    return FixtureRequest(names, groups=groups)


def write_missed_messages(load: Run) -> None:
    """Let the writer fill every conversation while all others are disconnected."""
    load.processes[0].call("connect", 0, 1)
    sizes = [messages for chats, messages in MISSED.values() for _ in range(chats)]
    texts = run.sample_texts()
    for chat, messages in zip(load.fixtures.chats, sizes, strict=True):
        load.processes[0].call("send", 0, str(chat.id), (texts * (messages // len(texts) + 1))[:messages], timeout=300)


def sync_crowd(load: Run, number: int, size: int) -> list[float]:
    """Let the people of a crowd connect and sync, one after another; return the milliseconds of each, ascending."""
    return sorted(load.processes[1].call("sync", place - 1) for place in crowd_places(number, size))


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    size = max(3, round(options.seconds_or(SECONDS)))
    fixtures = run.create_fixtures(parley, returning_crowds(size))
    everybody = run.client_accounts(fixtures)
    extra: dict[str, float | None] = {}
    with run.start_load(parley, fixtures, [everybody[:1], everybody[1:]], window=WINDOW) as load:
        write_missed_messages(load)
        selects = measure_selects(parley.dsn, [chat.id for chat in fixtures.chats], run.limit_seconds(options))
        before, start = load.read_cpu(), time.monotonic()
        for number, name in enumerate(MISSED):
            took = sync_crowd(load, number, size)
            extra |= {f"{name}_ms": percentile(took, 50), f"{name}_p95_ms": percentile(took, 95)}
        seconds = time.monotonic() - start
        cpu = {name: spent - before[name] for name, spent in load.read_cpu().items()}
        load.drain()
        verdict = load.finish_and_check()
    fetched = size * sum(chats * messages for chats, messages in MISSED.values())
    extra |= {"runs": size, "select_cpu_ms": selects.cpu_ms}
    return Result("sync", "message", fetched, seconds, cpu, None, verdict, limits, load.counts, extra,
                  floor_cpu_ms=selects.cpu_ms)  # fmt: skip
