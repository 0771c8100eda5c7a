"""`send`: pairs of people write to each other as fast as acks arrive: most messages a second, and their CPU."""

from bench import run
from bench.fixtures import FixtureRequest
from bench.run import Options, Result
from bench.servers import Servers

PEOPLE = 400
SECONDS = 15


def sender_pairs() -> FixtureRequest:
    names = [f"Sender {number}" for number in range(PEOPLE)]
    return FixtureRequest(names, pairs=[(place, place + 1) for place in range(0, PEOPLE, 2)])


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    fixtures = run.create_fixtures(parley, sender_pairs())
    shares = run.split_accounts(run.client_accounts(fixtures), options.processes)
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        for process in load.processes:
            process.send_command("closed_loop", run.sample_texts(), len(process.plan.accounts))
        load.measure(options.seconds_or(SECONDS))
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    return Result(
        "send",
        "message",
        figures.acked,
        figures.seconds,
        load.cpu,
        figures,
        verdict,
        limits,
        load.counts,
        load.cpu_percentages(),
        floor_cpu_ms=limits.message_cpu_ms,
    )
