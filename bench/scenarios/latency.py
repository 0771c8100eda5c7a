"""`latency`: pairs of people write at random times, 200 messages a second in all, however fast the server is.

An open loop: a latency starts when the message was due, so a stalling server cannot hide it.
"""

import random
import time

from bench import run
from bench.fixtures import Fixtures
from bench.load import Due
from bench.run import Options, Result
from bench.scenarios.send import sender_pairs
from bench.servers import Servers

RATE = 200
SECONDS = 15
LEAD = 200_000_000


def poisson_schedule(fixtures: Fixtures, seconds: float, share: int, shares: int) -> list[Due]:
    """Return one process' share of a Poisson stream over all pairs, the same in every run."""
    source, texts = random.Random(share), run.sample_texts()
    clients = range(len(fixtures.people[share::shares]))
    chat_of = {place: str(chat.id) for chat in fixtures.chats for place in chat.members}
    due, at = [], 0.0
    while (at := at + source.expovariate(RATE / shares)) < seconds:
        client = source.choice(clients)
        due.append(Due(int(at * 1e9), client, chat_of[client * shares + share], source.choice(texts)))
    return due


def measure(parley: Servers, options: Options) -> Result:
    limits = run.measure_limits(parley, options)
    fixtures = run.create_fixtures(parley, sender_pairs())
    shares = run.split_accounts(run.client_accounts(fixtures), options.processes)
    seconds = options.seconds_or(SECONDS)
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        start = time.monotonic_ns() + LEAD
        for number, process in enumerate(load.processes):
            due = poisson_schedule(fixtures, seconds + run.WARM_UP + 1, number, len(shares))
            process.send_command("open_loop", start, due)
        load.measure(seconds)
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    extra = {"offered_per_s": RATE}
    return Result(
        "latency",
        "message",
        figures.acked,
        figures.seconds,
        load.cpu,
        figures,
        verdict,
        limits,
        load.counts,
        extra | load.cpu_percentages(),
        floor_cpu_ms=limits.message_cpu_ms,
    )
