"""Decision 0007: the process that publishes a message of a large conversation: web, which stored it, or the worker.

`web` is the build as it is. `worker` is a prototype of the alternative: the web process stores and acks but publishes
nothing; the worker reads the stored messages of the outbox's rows and publishes a batch in one packet, which each
gateway receives once. The prototype is incomplete: an outbox row does not name the sending connection, so that
connection receives its own message too.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from bench import run
from bench.choices.machine import machine
from bench.cost import process_trees
from bench.figures import percentile
from bench.fixtures import FixtureRequest, Group
from bench.load import Due
from bench.servers import ROOT, Servers, start_servers
from gateway.ids import ConversationId
from outbox.events import MessagesStored, OutboxEvent
from outbox.reactions import Reaction

SELF = "bench.choices.fanout"
SECONDS = 5.0
STOPPED_AT = 20
WRITERS = 20
LEAD = 200_000_000


class Load(SimpleNamespace):
    """A group: its members, the connected ones, and messages a second; 0 means a closed loop over deliveries."""

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


def run_silent_web() -> None:
    """Run a web process that publishes no messages."""
    from config import serve  # first: it loads Django  # noqa: I001
    from chat import events
    from gateway import publish

    silent: Any = SimpleNamespace(**vars(publish))
    silent.to_conversation = lambda event: None
    vars(events)["publish"] = silent
    serve.main([])


def run_publishing_worker() -> None:
    """Run a worker that publishes the messages of each stored batch, by a reaction."""
    import django
    from django.conf import settings

    settings.REACTIONS = (Reaction("fanout", f"{SELF}.publish_stored", ("messages.stored",)),)
    from config import celery

    celery.app.conf.task_queues = celery.queues(settings.REACTIONS)
    django.setup()
    celery.app.worker_main(
        ["worker", "--concurrency", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    )


def publish_stored(recorded: Sequence[OutboxEvent]) -> None:
    """Publish all messages that these events name in one packet."""
    from chat.messages import feed
    from gateway import bus

    stored = [event for event in recorded if isinstance(event, MessagesStored)]
    found = [event for s in stored for event in feed.by_seq(ConversationId(s.conversation_id), s.from_seq, s.to_seq)]
    if found:
        outlet = bus._outlet = bus._outlet or bus.Outlet()
        asyncio.run_coroutine_threadsafe(outlet._bus._publish(found), outlet._loop).result()


def replace_worker(parley: Servers) -> None:
    """Replace the product's worker by the prototype's."""
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
        down = measure_without_worker(load, parley) if each.rate == STOPPED_AT else None
        load.drain()
        verdict = load.finish_and_check()
        figures = load.window_figures()
    cpu = sum(load.cpu.values())
    return {
        "deliveries a second": figures.delivered / figures.seconds,
        "CPU a delivery, µs": cpu / figures.delivered * 1e6,
        "CPU a message, ms": cpu / figures.acked * 1e3,
        **{f"of it {part}, ms": spent / figures.acked * 1e3 for part, spent in load.cpu.items()},
        "ack p50, ms": percentile(figures.ack_ms, 50),
        "ack p99, ms": percentile(figures.ack_ms, 99),
        "delivery p50, ms": percentile(figures.delivery_ms, 50),
        "delivery p99, ms": percentile(figures.delivery_ms, 99),
        "delivered in 2 s without the worker, %": down,
        "other programs, % of a core": load.cpu_percentages()["others_cpu_percent"],
        "faults but duplicates": sum(count for name, count in verdict.faults().items() if name != "duplicated"),
    }


def measure_without_worker(load: run.Run, parley: Servers) -> float:
    """Stop the worker for 4 s; return the percentage of messages of the last 2 s that are delivered in them."""
    root = parley.root_pids()["worker"]
    for pid in process_trees([root])[root]:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.0)  # until messages already published have arrived
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
                figures = measure(parley, each)
            print(f"{way}: {each.name}", flush=True)
            for name, value in figures.items():
                print(f"    {name:<45}{'' if value is None else round(value, 2):>12}", flush=True)


if __name__ == "__main__":
    role = os.environ.get("PARLEY_ROLE")
    {"web": run_silent_web, "worker": run_publishing_worker}.get(role or "", main)()
