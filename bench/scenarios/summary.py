"""`summary`: a group of 1,000 connected members at twice the rate at which summary mode begins (F303).

An open loop. Members fetch the summarised messages when their users look at the chat, at the latest at the end.
"""

import time

from bench import run
from bench.fixtures import FixtureRequest, Group
from bench.load import Due
from bench.run import Options, Result
from bench.servers import Servers

MEMBERS = 1000
RATE = 200
WRITERS = 20
SECONDS = 5
LEAD = 200_000_000


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    names = [f"Member {number}" for number in range(MEMBERS)]
    fixtures = run.create_fixtures(parley, FixtureRequest(names, groups=[Group("Everybody", list(range(MEMBERS)))]))
    shares, texts = run.split_accounts(run.client_accounts(fixtures), options.processes), run.sample_texts()
    seconds, chat = options.seconds_or(SECONDS), str(fixtures.chats[0].id)
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        start, count = time.monotonic_ns() + LEAD, int((seconds + run.WARM_UP + 1) * RATE)
        for number, process in enumerate(load.processes):
            due = [
                Due(n * 1_000_000_000 // RATE, n % WRITERS // len(shares), chat, texts[n % len(texts)])
                for n in range(number, count, len(shares))
            ]
            process.send_command("open_loop", start, due)
        load.measure(seconds)
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    extra = {"members": MEMBERS, "offered_per_s": RATE, "summaries": load.counts["message.summary"]}
    return Result(
        "summary",
        "message",
        figures.acked,
        figures.seconds,
        load.cpu,
        figures,
        verdict,
        limits,
        load.counts,
        extra | load.cpu_percentages(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
