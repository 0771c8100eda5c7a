"""`idle`: five thousand connections that do nothing but stay: what each costs in memory, and what staying costs in CPU."""

import time

from bench import ceilings, run
from bench.cost import pss_kb, trees
from bench.fixtures import Wanted
from bench.run import Options, Result
from bench.servers import Servers

CONNECTIONS = 5000
SECONDS = 15
WARM = 50  # connections before the first weighing: what the first ones load is not theirs


def web_kb(house: Servers) -> int:
    web = house.roots()["web"]
    return sum(map(pss_kb, trees([web])[web]))


def measure(house: Servers, options: Options) -> Result:
    bare = ceilings.echo_kb()
    people = [f"Idler {number}" for number in range(CONNECTIONS + WARM)]
    made = run.make(house, Wanted(people, pairs=[(place, place + 1) for place in range(0, len(people), 2)]))
    everybody = run.accounts(made)
    with run.run(house, made, [everybody[:WARM], *run.split(everybody[WARM:], options.processes)]) as load:
        load.processes[0].ask("connect", 0, WARM)
        before, cpu_before, start = web_kb(house), load.read_cpu(), time.monotonic()
        for process in load.processes[1:]:
            process.tell("connect", 0, len(process.plan.accounts))
        for process in load.processes[1:]:
            process.result(300)
        took = time.monotonic() - start
        cpu = {name: spent - cpu_before[name] for name, spent in load.read_cpu().items()}
        load.measure(options.lasts(SECONDS), warm_up=1)
        grown = web_kb(house) - before
        verdict = load.judge()
    extra = {
        "connections": CONNECTIONS,
        "kb_per_connection": grown / CONNECTIONS,
        "bare_kb_per_connection": bare,
        "over_floor": grown / CONNECTIONS / bare,
        "web_mb": web_kb(house) / 1024,
        "idle_cpu_percent": sum(load.cpu.values()) / (load.end - load.start) * 1e11,
    }
    return Result("idle", "connection", CONNECTIONS, took, cpu, None, verdict, None, load.counts, extra)
