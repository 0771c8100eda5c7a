"""`summary`: a group of a thousand connected members that goes twice as fast as a chat is told live (F303).

An open loop. What the members are told by summaries they fetch when their people look, at the latest at the end.
"""

import time

from bench import run
from bench.fixtures import Group, Wanted
from bench.load import Due
from bench.run import Options, Result
from bench.servers import Servers

MEMBERS = 1000
RATE = 200
WRITERS = 20
SECONDS = 5
LEAD = 200_000_000


def measure(house: Servers, options: Options) -> Result:
    limits = run.measure_limits(house, options)
    names = [f"Member {number}" for number in range(MEMBERS)]
    made = run.make(house, Wanted(names, groups=[Group("Everybody", list(range(MEMBERS)))]))
    shares, texts = run.split(run.accounts(made), options.processes), run.texts()
    seconds, chat = options.lasts(SECONDS), str(made.chats[0].id)
    with run.run(house, made, shares) as load:
        load.connect()
        start, count = time.monotonic_ns() + LEAD, int((seconds + run.WARM_UP + 1) * RATE)
        for number, process in enumerate(load.processes):
            due = [
                Due(n * 1_000_000_000 // RATE, n % WRITERS // len(shares), chat, texts[n % len(texts)])
                for n in range(number, count, len(shares))
            ]
            process.tell("open_loop", start, due)
        load.measure(seconds)
        load.settle()
        verdict = load.judge()
        found = load.figures()
    extra = {"members": MEMBERS, "offered_per_s": RATE, "summaries": load.counts["message.summary"]}
    return Result(
        "summary",
        "message",
        found.acked,
        found.seconds,
        load.cpu,
        found,
        verdict,
        limits,
        load.counts,
        extra | load.shares(),
        floor_cpu_ms=limits.echo.cpu_ms,
    )
