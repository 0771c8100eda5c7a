"""Decision 0007: who tells the members of a large conversation: the web process that stored the message, or the worker.

`web` is the build as it is. `worker` is a prototype of the other way: the web process stores and acks as ever but tells
nobody; the worker, nudged as ever, reads the stored messages of the outbox's rows and publishes them, all of a batch in
one packet that each gateway gets once. It leaves out what a build of it would need besides: the outbox row does not know
the connection that sent, so that gets its own message too.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from bench import run
from bench.choices.machine import machine
from bench.cost import process_trees
from bench.figures import percentile
from bench.fixtures import FixtureRequest, Group
from bench.load import Due
from bench.servers import ROOT, Servers, start_servers

SELF = "bench.choices.fanout"
SECONDS = 5.0
STOPPED_AT = 20
WRITERS = 20
LEAD = 200_000_000


class Load(SimpleNamespace):
    """A group of so many members, of whom so many are connected, and messages a second; 0: as many as are delivered."""

    name: str
    members: int
    connected: int
    rate: int


LOADS = (
    Load(name="50 of 1,000 connected, 20 messages/s", members=1000, connected=50, rate=20),
    Load(name="50 of 1,000 connected, 100 messages/s", members=1000, connected=50, rate=100),
    Load(name="1,000 connected, 5 messages/s", members=1000, connected=1000, rate=5),
    Load(name="1,000 connected, saturated", members=1000, connected=1000, rate=0),
)


def as_web() -> None:
    """Be a web process that tells no members of messages."""
    from config import serve  # first: it loads Django  # noqa: I001
    from chat import events
    from gateway import publish

    silent: Any = SimpleNamespace(**vars(publish))
    silent.to_conversation = lambda event: None
    vars(events)["publish"] = silent
    serve.main([])


def as_worker() -> None:
    """Be a worker that tells the members of what the outbox names, before it runs the reactions."""
    import django

    from config.celery import app

    django.setup()
    from chat import outbox
    from chat.messages import feed
    from gateway import bus

    work: Callable[..., int] = outbox._work

    def tell_and_work(rows: list[dict[str, Any]], reactions: Mapping[str, Any], run: Any) -> int:
        stored = [row for row in rows if row["event"] == "messages.stored"]
        events = [e for r in stored for e in feed.by_seq(r["conversation_id"], r["from_seq"], r["to_seq"])]
        if events:
            outlet = bus._outlet = bus._outlet or bus.Outlet()
            asyncio.run_coroutine_threadsafe(outlet._bus._publish(events), outlet._loop).result()
        return work(rows, reactions, run)

    outbox._work = tell_and_work
    outbox._tell_again = lambda row: None
    app.worker_main(["worker", "--concurrency", "1", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"])


def replace_worker(parley: Servers) -> None:
    """Put the prototype's worker in the place of the product's."""
    parley.processes["worker"].terminate()
    parley.processes["worker"].wait(20)
    environ = {**parley.environ, "PARLEY_ROLE": "worker"}
    with (parley.var / "worker.log").open("ab") as log:
        parley.processes["worker"] = subprocess.Popen(
            [sys.executable, "-m", SELF], env=environ, cwd=ROOT, stdout=log, stderr=log
        )
    time.sleep(5)


def measure(parley: Servers, each: Load) -> dict[str, float | None]:
    """Run one load; return its figures."""
    names = [f"Member {number}" for number in range(each.members)]
    fixtures = run.create_fixtures(
        parley, FixtureRequest(names, groups=[Group(each.name[:50], list(range(each.members)))])
    )
    shares, texts, chat = (
        run.split_accounts(run.client_accounts(fixtures)[: each.connected], 2),
        run.sample_texts(),
        str(fixtures.chats[0].id),
    )
    with run.start_load(parley, fixtures, shares) as load:
        load.connect()
        start, count = time.monotonic_ns() + LEAD, int((SECONDS + run.WARM_UP + 5) * each.rate)
        for number, process in enumerate(load.processes):
            if each.rate:
                turns = range(number, count, len(shares))
                due = [
                    Due(n * 1_000_000_000 // each.rate, n % WRITERS // 2, chat, texts[n % len(texts)]) for n in turns
                ]
                process.send_command("open_loop", start, due)
            else:
                process.send_command("fanout_loop", texts, 2, len(process.plan.accounts))
        load.measure(SECONDS)
        down = without_worker(load, parley) if each.rate == STOPPED_AT else None
        load.drain()
        verdict = load.finish_and_check()
        found = load.window_figures()
    cpu = sum(load.cpu.values())
    return {
        "deliveries a second": found.delivered / found.seconds,
        "CPU a delivery, µs": cpu / found.delivered * 1e6,
        "CPU a message, ms": cpu / found.acked * 1e3,
        **{f"of it {part}, ms": spent / found.acked * 1e3 for part, spent in load.cpu.items()},
        "ack p50, ms": percentile(found.ack_ms, 50),
        "ack p99, ms": percentile(found.ack_ms, 99),
        "delivery p50, ms": percentile(found.delivery_ms, 50),
        "delivery p99, ms": percentile(found.delivery_ms, 99),
        "delivered in 2 s without the worker, %": down,
        "other programs, % of a core": load.cpu_percentages()["others_cpu_percent"],
        "faults but duplicates": sum(count for name, count in verdict.faults().items() if name != "duplicated"),
    }


def without_worker(load: run.Run, parley: Servers) -> float:
    """Stop the worker for two seconds and more; return the part of the messages of that time that is delivered in it."""
    root = parley.root_pids()["worker"]
    for pid in process_trees([root])[root]:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.0)  # what was on its way arrives
    before = sum(counts.get("delivered", 0) for counts in load.call("counts"))
    time.sleep(2.0)
    after = sum(counts.get("delivered", 0) for counts in load.call("counts"))
    for pid in process_trees([root])[root]:
        os.kill(pid, signal.SIGCONT)
    return float(100 * (after - before) / (STOPPED_AT * 49 * 2))


def main() -> None:
    print(machine(), flush=True)
    for way in sys.argv[1:] or ("web", "worker"):
        module = {"web": "config.serve", "worker": SELF}[way]
        for each in LOADS:
            with start_servers({}, module) as parley:
                if way == "worker":
                    replace_worker(parley)
                found = measure(parley, each)
            print(f"{way}: {each.name}", flush=True)
            for name, value in found.items():
                print(f"    {name:<45}{'' if value is None else round(value, 2):>12}", flush=True)


if __name__ == "__main__":
    role = os.environ.get("PARLEY_ROLE")
    {"web": as_web, "worker": as_worker}.get(role or "", main)()
