"""`send`: pairs of people write to each other as fast as they get acks: the most messages a second, and what each costs."""

from bench import run
from bench.fixtures import Wanted
from bench.run import Options, Result
from bench.servers import Servers

PEOPLE = 400
SECONDS = 15


def wanted() -> Wanted:
    names = [f"Sender {number}" for number in range(PEOPLE)]
    return Wanted(names, pairs=[(place, place + 1) for place in range(0, PEOPLE, 2)])


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    made = run.make(house, wanted())
    shares = run.split(run.accounts(made), options.processes)
    with run.run(house, made, shares) as load:
        load.connect()
        for process in load.processes:
            process.tell("closed_loop", run.texts(), len(process.plan.accounts))
        load.measure(options.lasts(SECONDS))
        load.settle()
        verdict = load.judge()
        found = load.figures()
    return Result(
        "send",
        "message",
        found.acked,
        found.seconds,
        load.cpu,
        found,
        verdict,
        limits,
        load.counts,
        load.shares(),
        floor_cpu_ms=limits.message_cpu_ms,
    )
