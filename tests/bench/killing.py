"""Kills the web process with SIGKILL three times during `send`, and lets the checker check the result.

`python -m tests.bench.killing MODULE` runs the build whose web process is MODULE and prints the verdict as JSON.
"""

import json
import sys
import time
from dataclasses import asdict

from bench import run
from bench.fixtures import FixtureRequest
from bench.run import Run
from bench.servers import Servers, start_servers

PEOPLE = 60
KILLS = 3
ACKS_BETWEEN_KILLS = 400  # acks between the last start and the next kill
PATIENCE = 60


def wait_for_acks(load: Run, more: int) -> None:
    """Wait until `more` further acks have arrived. Raises TimeoutError."""
    first, end = count_acks(load), time.monotonic() + PATIENCE
    while count_acks(load) < first + more:
        if time.monotonic() > end:
            raise TimeoutError(f"no {more} acks within {PATIENCE} s")
        time.sleep(0.02)


def count_acks(load: Run) -> int:
    return sum(counts.get("acked", 0) for counts in load.call("counts"))


def kill_under_load(parley: Servers) -> dict[str, object]:
    """Run the load through the kills; return the verdict and the number of lost connections."""
    pairs = [(place, place + 1) for place in range(0, PEOPLE, 2)]
    fixtures = run.create_fixtures(
        parley, FixtureRequest([f"Person {number}" for number in range(PEOPLE)], pairs=pairs)
    )
    with run.start_load(parley, fixtures, run.split_accounts(run.client_accounts(fixtures), 2)) as load:
        load.connect()
        for process in load.processes:
            process.send_command("closed_loop", run.sample_texts(), len(process.plan.accounts))
        for _ in range(KILLS):
            wait_for_acks(load, ACKS_BETWEEN_KILLS)
            parley.kill_web()
            parley.start("web")
        wait_for_acks(load, ACKS_BETWEEN_KILLS)
        # After failed attempts a client waits up to 30 s before it reconnects (protocol 2.8).
        load.drain(PATIENCE)
        verdict = load.finish_and_check()
    breaches = {name: count for name, count in load.counts.items() if name.startswith("BREACH")}
    cut_off = sum(count for name, count in load.counts.items() if name.startswith("closed 1006"))
    return asdict(verdict) | {"faults": verdict.faults() | breaches, "cut_off": cut_off}


if __name__ == "__main__":
    with start_servers(web_module=sys.argv[1]) as parley:
        json.dump(kill_under_load(parley), sys.stdout)
