"""`fanout`: one group of a thousand connected members, in which a few write: the most deliveries a second."""

from bench import run
from bench.fixtures import Group, Wanted
from bench.run import Options, Result
from bench.servers import Servers

MEMBERS = 1000
SENDERS = 2  # of each load process
SECONDS = 15


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    names = [f"Member {number}" for number in range(MEMBERS)]
    made = run.make(house, Wanted(names, groups=[Group("Everybody", list(range(MEMBERS)))]))
    shares = run.split(run.accounts(made), options.processes)
    with run.run(house, made, shares) as load:
        load.connect()
        for process in load.processes:
            process.tell("fanout_loop", run.texts(), SENDERS, len(process.plan.accounts))
        load.measure(options.lasts(SECONDS))
        load.settle()
        verdict = load.judge()
        found = load.figures()
    extra = {"members": MEMBERS, "messages_per_s": found.acked / found.seconds}
    return Result(
        "fanout",
        "delivery",
        found.delivered,
        found.seconds,
        load.cpu,
        found,
        verdict,
        limits,
        load.counts,
        extra | load.shares(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
