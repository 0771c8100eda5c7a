"""Kill the web process with SIGKILL in the middle of `send`, again and again, and let the checker judge what is left.

`python -m tests.bench.killing MODULE` runs the build whose web process is MODULE and prints the verdict as JSON.
"""

import json
import sys
import time
from dataclasses import asdict

from bench import run
from bench.fixtures import Wanted
from bench.run import Run
from bench.servers import Servers, servers

PEOPLE = 60
KILLS = 3
BETWEEN = 400  # acks that must have come since the last start before the next kill
PATIENCE = 60


def until_acked(load: Run, more: int) -> None:
    """Return when so many more acks have come: the load is in full swing. Raises TimeoutError."""
    first, end = acked(load), time.monotonic() + PATIENCE
    while acked(load) < first + more:
        if time.monotonic() > end:
            raise TimeoutError(f"no {more} acks within {PATIENCE} s")
        time.sleep(0.02)


def acked(load: Run) -> int:
    return sum(counts.get("acked", 0) for counts in load.ask("counts"))


def killed(house: Servers) -> dict[str, object]:
    """Run the load through the kills and return the verdict, with how often clients were cut off."""
    pairs = [(place, place + 1) for place in range(0, PEOPLE, 2)]
    made = run.make(house, Wanted([f"Person {number}" for number in range(PEOPLE)], pairs=pairs))
    with run.run(house, made, run.split(run.accounts(made), 2)) as load:
        load.connect()
        for process in load.processes:
            process.tell("closed_loop", run.texts(), len(process.plan.accounts))
        for _ in range(KILLS):
            until_acked(load, BETWEEN)
            house.kill_web()
            house.start("web")
        until_acked(load, BETWEEN)
        # Who was cut off thrice may be 30 s away, and half as long again (protocol 2.8).
        load.settle(PATIENCE)
        verdict = load.judge()
    breaches = {name: count for name, count in load.counts.items() if name.startswith("BREACH")}
    cut = sum(count for name, count in load.counts.items() if name.startswith("closed 1006"))
    return asdict(verdict) | {"faults": verdict.faults() | breaches, "cut": cut}


if __name__ == "__main__":
    with servers(web_module=sys.argv[1]) as parley:
        json.dump(killed(parley), sys.stdout)
