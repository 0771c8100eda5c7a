"""`fanout`: one group of 1,000 connected members, four of whom write: the maximum of deliveries a second."""

from bench import run
from bench.fixtures import FixtureRequest, Group
from bench.run import Options, Result
from bench.servers import Servers

MEMBERS = 1000
SENDERS = 2  # of each load process
SECONDS = 15


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    names = [f"Member {number}" for number in range(MEMBERS)]
    fixtures = run.create_fixtures(parley, FixtureRequest(names, groups=[Group("Everybody", list(range(MEMBERS)))]))
    shares = run.split_accounts(run.client_accounts(fixtures), options.processes)
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        for process in load.processes:
            process.send_command("fanout_loop", run.sample_texts(), SENDERS, len(process.plan.accounts))
        load.measure(options.seconds_or(SECONDS))
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    extra = {"members": MEMBERS, "messages_per_s": figures.acked / figures.seconds}
    return Result(
        "fanout",
        "delivery",
        figures.delivered,
        figures.seconds,
        load.cpu,
        figures,
        verdict,
        limits,
        load.counts,
        extra | load.cpu_percentages(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
