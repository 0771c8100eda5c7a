"""`large`: what a message costs in groups of up to ten thousand, few or all of whose members are connected.

Each stage has a group of its own and a part of the people connected; four of these write, each again when its message
has reached everybody who is connected in its load process.
"""

from typing import NamedTuple

from bench import run
from bench.figures import figures, percentile
from bench.fixtures import Group, Made, Wanted
from bench.held import Account
from bench.history import read
from bench.run import Options, Result
from bench.servers import Servers

SENDERS = 2  # of each load process
SECONDS = 5
WARM_UP = 1.0
PATIENCE = 600.0  # ten thousand last syncs take minutes


class Stage(NamedTuple):
    """A group of so many members, of whom so many are connected."""

    name: str
    members: int
    connected: int


STAGES = (
    Stage("10_of_10", 10, 10),
    Stage("10_of_10000", 10_000, 10),
    Stage("50_of_1000", 1000, 50),
    Stage("500_of_10000", 10_000, 500),
    Stage("1000_of_1000", 1000, 1000),
    Stage("10000_of_10000", 10_000, 10_000),
)


class Window(NamedTuple):
    """What a stage took: from and to in monotonic nanoseconds, CPU seconds of all servers' processes, and of the web's."""

    start: int
    end: int
    cpu: float
    web: float


def accounts(made: Made) -> list[Account]:
    """Return the people as clients that follow the groups in whose stages they are connected, and no others."""
    everybody = run.accounts(made)
    for place, account in enumerate(everybody):
        followed = [str(chat.id) for chat, stage in zip(made.chats, STAGES, strict=True) if place < stage.connected]
        account.chats = {chat: account.chats[chat] for chat in followed}
    return everybody


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    people = max(stage.members for stage in STAGES)
    groups = [Group(stage.name, list(range(stage.members))) for stage in STAGES]
    made = run.make(house, Wanted([f"Member {number}" for number in range(people)], groups=groups))
    windows = []
    with run.run(house, made, run.split(accounts(made), options.processes)) as load:
        here = 0
        for stage, chat in zip(STAGES, made.chats, strict=True):
            share = stage.connected // options.processes
            for process in load.processes:
                process.tell("connect", here, share)
            for process in load.processes:
                process.result(300)
            here = share
            for process in load.processes:
                process.tell("fanout_loop", run.texts(), SENDERS, share, str(chat.id))
            load.measure(options.lasts(SECONDS), WARM_UP)
            windows.append(Window(load.start, load.end, sum(load.cpu.values()), load.cpu["web"]))
            load.settle()
        verdict = load.judge(PATIENCE)
        found = [figures(read(load.histories), window.start, window.end) for window in windows]
    extra: dict[str, float | None] = {}
    for stage, window, each in zip(STAGES, windows, found, strict=True):
        extra |= {
            f"{stage.name}_messages_per_s": each.acked / each.seconds,
            f"{stage.name}_deliveries_per_s": each.delivered / each.seconds,
            f"{stage.name}_cpu_ms_per_message": window.cpu / each.acked * 1000 if each.acked else None,
            f"{stage.name}_web_ms_per_message": window.web / each.acked * 1000 if each.acked else None,
            f"{stage.name}_cpu_us_per_delivery": window.cpu / each.delivered * 1e6 if each.delivered else None,
            f"{stage.name}_ack_p50_ms": percentile(each.ack_ms, 50),
            f"{stage.name}_delivery_p99_ms": percentile(each.delivery_ms, 99),
        }
    last = found[-1]
    return Result(
        "large",
        "delivery",
        last.delivered,
        last.seconds,
        load.cpu,
        last,
        verdict,
        limits,
        load.counts,
        extra | load.shares(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
