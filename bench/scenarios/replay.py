"""`replay`: a day of a busy IRC channel, a thousand times faster; each speaker of the day is a connected member.

The logs come from `--logs` or PARLEY_IRC_LOGS; the day with the most speakers is used.
"""

import time

from bench import irc, run
from bench.fixtures import FixtureRequest, Group
from bench.irc import Line
from bench.load import Due
from bench.run import Options, Result
from bench.servers import Servers

SPEED = 1000
LEAD = 200_000_000
MINUTE = 60_000_000_000


def due_times(day: list[Line], speed: float) -> list[int]:
    """Return the time of each message in nanoseconds after the start; those of a minute are spread over it."""
    counts: dict[int, int] = {}
    for line in day:
        counts[line.minute] = counts.get(line.minute, 0) + 1
    due, at, minute = [], 0, None
    for line in day:
        at, minute = (at + 1 if line.minute == minute else 0), line.minute
        after = (line.minute - day[0].minute) * MINUTE + at * MINUTE // counts[line.minute]
        due.append(int(after / speed))
    return due


def measure(parley: Servers, options: Options) -> Result:
    if options.logs is None:
        raise SystemExit("replay: name the folder of IRC logs with --logs or PARLEY_IRC_LOGS.")
    name, day = irc.busiest_day(options.logs)
    due = [(at, line) for at, line in zip(due_times(day, SPEED), day, strict=True)
           if options.seconds is None or at < options.seconds * 1e9]  # fmt: skip
    nicks = list(dict.fromkeys(line.nick for _, line in due))
    limits = run.measure_limits(parley, options)
    fixtures = run.create_fixtures(parley, FixtureRequest(nicks, groups=[Group(name[:50], list(range(len(nicks))))]))
    shares = run.split_accounts(run.client_accounts(fixtures), options.processes)
    places = {nick: place for place, nick in enumerate(nicks)}
    chat = str(fixtures.chats[0].id)
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        start = time.monotonic_ns() + LEAD
        for number, process in enumerate(load.processes):
            own_messages = [
                Due(at, places[line.nick] // len(shares), chat, line.text)
                for at, line in due
                if places[line.nick] % len(shares) == number
            ]
            process.send_command("open_loop", start, own_messages)
        load.measure(due[-1][0] / 1e9 + LEAD / 1e9, warm_up=0)
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    extra = {"day": name, "speakers": len(nicks), "messages": len(due), "speed": SPEED,
             "expected_deliveries": len(due) * (len(nicks) - 1)}  # fmt: skip
    return Result(
        "replay",
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
