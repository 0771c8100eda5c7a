"""`idle`: 5,000 connections that only send pings: the memory of each, and their CPU."""

import time

from bench import run
from bench.cost import process_trees, pss_kb
from bench.fixtures import FixtureRequest
from bench.limits import measure_connection_kb
from bench.run import Options, Result
from bench.servers import Servers

CONNECTIONS = 5000
SECONDS = 15
WARM = 50  # connections before the first measurement, so that lazily loaded code does not count


def web_pss_kb(parley: Servers) -> int:
    web = parley.root_pids()["web"]
    return sum(map(pss_kb, process_trees([web])[web]))


def measure(parley: Servers, options: Options) -> Result:
    bare = measure_connection_kb()
    people = [f"Idler {number}" for number in range(CONNECTIONS + WARM)]
    fixtures = run.create_fixtures(
        parley, FixtureRequest(people, pairs=[(place, place + 1) for place in range(0, len(people), 2)])
    )
    everybody = run.client_accounts(fixtures)
    with run.start_load(
        parley, fixtures, [everybody[:WARM], *run.split_accounts(everybody[WARM:], options.processes)]
    ) as load:
        load.processes[0].call("connect", 0, WARM)
        before, cpu_before, start = web_pss_kb(parley), load.read_cpu(), time.monotonic()
        for process in load.processes[1:]:
            process.send_command("connect", 0, len(process.plan.accounts))
        for process in load.processes[1:]:
            process.receive_answer(300)
        took = time.monotonic() - start
        cpu = {name: spent - cpu_before[name] for name, spent in load.read_cpu().items()}
        load.measure(options.seconds_or(SECONDS), warm_up=1)
        grown = web_pss_kb(parley) - before
        verdict = load.finish_and_check()
    extra = {
        "connections": CONNECTIONS,
        "kb_per_connection": grown / CONNECTIONS,
        "bare_kb_per_connection": bare,
        "over_floor": grown / CONNECTIONS / bare,
        "web_mb": web_pss_kb(parley) / 1024,
        "idle_cpu_percent": sum(load.cpu.values()) / (load.end - load.start) * 1e11,
    }
    return Result("idle", "connection", CONNECTIONS, took, cpu, None, verdict, None, load.counts, extra)
