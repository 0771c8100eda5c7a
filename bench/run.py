"""The common course of scenarios with a load: people, load processes, measured window, last sync, verdict."""

import json
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench import checker, stored_facts
from bench.client_state import Account
from bench.cost import cpu_seconds, machine_seconds
from bench.figures import Figures, window_figures
from bench.fixtures import FixtureRequest, Fixtures
from bench.history import ClientIds, read_rows
from bench.limits import Limits, measure_echo, measure_inserts
from bench.load import Plan, Process, call_all
from bench.servers import Servers

WARM_UP = 2.0
QUIET = 0.5
PATIENCE = 20.0
LIMIT_SECONDS = 2.0
POPULATE = "import django; django.setup(); from bench import populate; populate.main()"
WORDS = [
    "the",
    "a",
    "to",
    "of",
    "and",
    "is",
    "it",
    "that",
    "was",
    "for",
    "on",
    "are",
    "with",
    "this",
    "have",
    "from",
    "by",
    "hot",
    "word",
    "but",
    "what",
    "some",
    "we",
    "can",
]


@dataclass
class Options:
    """The options of the command line."""

    seconds: float | None = None
    logs: Path | None = None
    processes: int = 2

    def seconds_or(self, default: float) -> float:
        return self.seconds if self.seconds is not None else default


@dataclass
class Result:
    """The result of a scenario: `units` of `unit` were done in `seconds` with `cpu` seconds, by part of Parley.

    `extra` has the scenario's own figures. `floor_cpu_ms` is the least CPU of a unit according to the limits of the
    same run; `no_floor` is the reason for a missing floor.
    """

    scenario: str
    unit: str
    units: float = 0
    seconds: float = 0
    cpu: dict[str, float] = field(default_factory=dict)
    figures: Figures | None = None
    verdict: checker.Verdict | None = None
    limits: Limits | None = None
    counts: Counter[str] = field(default_factory=Counter)
    extra: dict[str, Any] = field(default_factory=dict)
    floor_cpu_ms: float | None = None
    no_floor: str = ""


def sample_texts(count: int = 500) -> list[str]:
    """Return texts of 20 to 140 characters, the same in every run."""
    source = random.Random(7)
    return [" ".join(source.choices(WORDS, k=source.randint(5, 25)))[:140] for _ in range(count)]


def limit_seconds(options: Options) -> float:
    """Return the seconds for which each limit is measured."""
    return min(LIMIT_SECONDS, options.seconds_or(LIMIT_SECONDS))


def measure_limits(parley: Servers, options: Options) -> Limits:
    """Measure batched inserts and the bare echo, while the servers are idle."""
    seconds = limit_seconds(options)
    inserts = measure_inserts(parley.dsn, parley.root_pids()["postgres"], seconds)
    return Limits(inserts, measure_echo(seconds))


def create_fixtures(parley: Servers, request: FixtureRequest) -> Fixtures:
    """Create people and conversations through the project's own code."""
    request_json = msgspec.json.encode(request)
    return msgspec.json.decode(parley.run("-c", POPULATE, stdin=request_json), type=Fixtures)


def page_size(parley: Servers) -> int:
    """Return the maximum number of messages in a history page, as published by `/api/v1/contract`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{parley.port}/api/v1/contract") as answer:
        return int(json.load(answer)["limits"]["pageMax"]["value"])


def client_accounts(fixtures: Fixtures) -> list[Account]:
    """Return an account for every person, with the current watermarks of all conversations."""
    chats: list[dict[str, tuple[int, int]]] = [{} for _ in fixtures.people]
    for chat in fixtures.chats:
        for place in chat.members:
            chats[place][str(chat.id)] = (chat.seq, chat.rev)
    return [Account(person.id, person.token, held) for person, held in zip(fixtures.people, chats, strict=True)]


class Run:
    """The load of one scenario, from the first connection to the verdict."""

    def __init__(
        self, parley: Servers, fixtures: Fixtures, shares: list[list[Account]], folder: Path, window: int = 1
    ) -> None:
        self.parley, self.fixtures = parley, fixtures
        page = page_size(parley)
        self.ids = ClientIds.for_new_run()
        self.histories = [folder / str(number) for number in range(len(shares))]
        self.processes = [
            Process(Plan(number, self.ids.prefix, file, [parley.address], share, window, page))
            for number, (share, file) in enumerate(zip(shares, self.histories, strict=True))
        ]
        self.start = self.end = 0
        self.cpu: dict[str, float] = {}
        self.load_cpu = self.others_cpu = 0.0
        self.counts: Counter[str] = Counter()

    def call(self, name: str, *arguments: Any, timeout: float = 60) -> list[Any]:
        return call_all(self.processes, name, *arguments, timeout=timeout)

    def connect(self) -> float:
        """Connect every client; return the seconds that it took."""
        start = time.monotonic()
        for process in self.processes:
            process.send_command("connect", 0, len(process.plan.accounts))
        for process in self.processes:
            process.receive_answer(300)
        return time.monotonic() - start

    def measure(self, seconds: float, warm_up: float = WARM_UP) -> None:
        """Wait for the warm-up, then measure the CPU of the servers over a window of `seconds`."""
        time.sleep(warm_up)
        before, busy, load = self.read_cpu(), machine_seconds(), self.load_seconds()
        self.start = time.monotonic_ns()
        time.sleep(seconds)
        self.end = time.monotonic_ns()
        self.cpu = {name: spent - before[name] for name, spent in self.read_cpu().items()}
        self.load_cpu = self.load_seconds() - load
        self.others_cpu = machine_seconds() - busy - self.load_cpu - sum(self.cpu.values())

    def read_cpu(self) -> dict[str, float]:
        roots = self.parley.root_pids()
        spent = cpu_seconds(roots.values())
        return {name: spent[pid] for name, pid in roots.items()}

    def load_seconds(self) -> float:
        return sum(cpu_seconds(each.process.pid for each in self.processes if each.process.pid).values())

    def cpu_percentages(self) -> dict[str, float]:
        """Return the CPU of the servers, the load and other programs in the window, in percent of one core."""
        percent = 1e11 / (self.end - self.start)
        return {
            "servers_cpu_percent": sum(self.cpu.values()) * percent,
            "load_cpu_percent": self.load_cpu * percent,
            "others_cpu_percent": self.others_cpu * percent,
        }

    def drain(self, patience: float = PATIENCE) -> None:
        """Stop sending; return when all sends are answered and deliveries have ceased, or after `patience` s."""
        self.call("stop", patience, timeout=patience + 10)
        end, last, quiet_since = time.monotonic() + patience, -1, time.monotonic()
        while time.monotonic() < end and time.monotonic() - quiet_since < QUIET:
            time.sleep(0.05)
            now = sum(counts.get("delivered", 0) for counts in self.call("counts"))
            if now != last:
                last, quiet_since = now, time.monotonic()

    def finish_and_check(self, patience: float = 120) -> checker.Verdict:
        """Let every client make its last sync and disconnect; then check the histories against what is stored."""
        self.call("last_sync", timeout=patience)
        for counts in self.call("counts"):
            self.counts.update(counts)
        self.call("disconnect")
        self.call("quit")
        facts = stored_facts.read_facts(self.parley.dsn, [chat.id for chat in self.fixtures.chats], self.ids)
        return checker.check_history(read_rows(self.histories), facts)

    def window_figures(self) -> Figures:
        return window_figures(read_rows(self.histories), self.start, self.end)

    def close(self) -> None:
        for process in self.processes:
            process.process.kill()
            process.process.join()


@contextmanager
def start_load(parley: Servers, fixtures: Fixtures, shares: list[list[Account]], *, window: int = 1) -> Iterator[Run]:
    """Start load processes, each with its share of the accounts; end them and remove histories after the block."""
    with tempfile.TemporaryDirectory(prefix="parley-history-") as folder:
        load = Run(parley, fixtures, shares, Path(folder), window)
        try:
            yield load
        finally:
            load.close()


def split_accounts(everybody: list[Account], processes: int) -> list[list[Account]]:
    """Distribute the accounts in turn, so that the two of a pair are in different processes."""
    return [everybody[number::processes] for number in range(processes)]


def print_progress(line: str) -> None:
    """Print a line on standard error for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)
