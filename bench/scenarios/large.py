"""`large`: the cost of a message in groups of up to 10,000 members, of whom ten to all are connected.

Each stage has its own group and its own number of connected people. Four of them write; each writes again when all
connected members in its load process have its message.
"""

from typing import NamedTuple

from bench import run
from bench.client_state import Account
from bench.figures import percentile, window_figures
from bench.fixtures import FixtureRequest, Fixtures, Group
from bench.history import read_rows
from bench.run import Options, Result
from bench.servers import Servers

SENDERS = 2  # of each load process
SECONDS = 5
WARM_UP = 1.0
PATIENCE = 600.0  # ten thousand last syncs take minutes


class Stage(NamedTuple):
    """A group, with its numbers of members and of connected members."""

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
    """The window of a stage in monotonic nanoseconds, and the CPU seconds of all parts and of web in it."""

    start: int
    end: int
    cpu: float
    web: float


def stage_accounts(fixtures: Fixtures) -> list[Account]:
    """Return accounts that know only the groups of the stages in which they are connected."""
    everybody = run.client_accounts(fixtures)
    for place, account in enumerate(everybody):
        followed = [str(chat.id) for chat, stage in zip(fixtures.chats, STAGES, strict=True) if place < stage.connected]
        account.chats = {chat: account.chats[chat] for chat in followed}
    return everybody


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    people = max(stage.members for stage in STAGES)
    groups = [Group(stage.name, list(range(stage.members))) for stage in STAGES]
    fixtures = run.create_fixtures(
        parley, FixtureRequest([f"Member {number}" for number in range(people)], groups=groups)
    )
    windows = []
    with run.start_load(parley, fixtures, run.split_accounts(stage_accounts(fixtures), options.processes)) as load:
        first = 0
        for stage, chat in zip(STAGES, fixtures.chats, strict=True):
            share = stage.connected // options.processes
            for process in load.processes:
                process.send_command("connect", first, share)
            for process in load.processes:
                process.receive_answer(300)
            first = share
            for process in load.processes:
                process.send_command("fanout_loop", run.sample_texts(), SENDERS, share, str(chat.id))
            load.measure(options.seconds_or(SECONDS), WARM_UP)
            windows.append(Window(load.start, load.end, sum(load.cpu.values()), load.cpu["web"]))
            load.drain()
        verdict = load.finish_and_check(PATIENCE)
        stage_figures = [window_figures(read_rows(load.histories), window.start, window.end) for window in windows]
    extra: dict[str, float | None] = {}
    for stage, window, each in zip(STAGES, windows, stage_figures, strict=True):
        extra |= {
            f"{stage.name}_messages_per_s": each.acked / each.seconds,
            f"{stage.name}_deliveries_per_s": each.delivered / each.seconds,
            f"{stage.name}_cpu_ms_per_message": window.cpu / each.acked * 1000 if each.acked else None,
            f"{stage.name}_web_ms_per_message": window.web / each.acked * 1000 if each.acked else None,
            f"{stage.name}_cpu_us_per_delivery": window.cpu / each.delivered * 1e6 if each.delivered else None,
            f"{stage.name}_ack_p50_ms": percentile(each.ack_ms, 50),
            f"{stage.name}_delivery_p99_ms": percentile(each.delivery_ms, 99),
        }
    last = stage_figures[-1]
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
        extra | load.cpu_percentages(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
