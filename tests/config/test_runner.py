"""`script/server`: first start, Ctrl-C, second start, crashes, and a second runner."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from config.embedded import socket_folder
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.env import BASE_DIR
from tests.servers import free_port

pytestmark = pytest.mark.slow
READY = re.compile(r"Parley answers at (http://\S+)")


class Runner:
    """A running `script/server` without its shell: its output so far and its processes."""

    def __init__(self, var: Path, **environ: str) -> None:
        # It must not inherit the settings of the tests' own servers.
        inherited = {
            name: value for name, value in os.environ.items() if not re.match("PARLEY_|DATABASE_URL|REDIS_URL", name)
        }
        self.var = var
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.runner"],
            cwd=BASE_DIR,
            env={**inherited, "PARLEY_DEMO": "1", "PARLEY_VAR": str(var), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, pattern: "re.Pattern[str]") -> "re.Match[str]":
        """Read lines until one matches; fail at the end of the output."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if found := pattern.search(line):
                return found
        pytest.fail(f"it ended with {self.process.wait()} before {pattern.pattern!r}:\n{self.output}")

    def processes(self) -> list[psutil.Process]:
        """Return the current processes web, worker and beat with their children."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int) -> int:
        """Send a signal, read the remaining output, return the exit code."""
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> int:
        self.output += self.process.communicate(timeout=60)[0]
        return self.process.returncode


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    for server in (Redis(tmp_path / "var"), Postgres(tmp_path / "var")):
        server.stop()
    for name in ("postgres", "redis"):
        shutil.rmtree(socket_folder(tmp_path / "var", name), ignore_errors=True)


@contextmanager
def started(var: Path, **environ: str) -> Iterator[Runner]:
    """Start a runner and wait for its address; kill all its processes at the end."""
    runner = Runner(var, PARLEY_PORT=str(free_port()), **environ)
    processes: list[psutil.Process] = []
    try:
        runner.until(READY)
        runner.until(re.compile("Ctrl-C"))
        processes = runner.processes()
        yield runner
    finally:
        if runner.process.poll() is None:
            runner.end(signal.SIGTERM)
        for process in still_running(processes):
            process.kill()


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run after 30 s."""
    left: list[psutil.Process] = psutil.wait_procs(processes, timeout=30)[1]
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def address(runner: Runner) -> str:
    found = READY.search(runner.output)
    assert found
    return found[1]


def get(runner: Runner, path: str) -> str:
    with urllib.request.urlopen(address(runner) + path, timeout=10) as answer:
        body: bytes = answer.read()
        return body.decode()


def test_server_starts_prints_sign_ins_stops_and_starts_again(var: Path) -> None:
    with started(var) as first:
        assert "@example.com" in first.output
        assert json.loads(get(first, "/readyz"))["status"] == "ok"
        processes = first.processes()
        assert {"web", "worker", "beat"} == set(re.findall(r"\| (\w+) started", first.output))
        assert first.end(signal.SIGINT) == 0
        assert not still_running(processes)
    assert Postgres(var).pid() is None
    assert Redis(var).pid() is None
    with started(var) as second:
        sign_ins = [line for line in first.output.splitlines() if "@example.com" in line]
        assert [line for line in second.output.splitlines() if "@example.com" in line] == sign_ins
        assert "database up to date" not in second.output
        assert second.end(signal.SIGTERM) == 0


def test_second_server_with_the_same_folder_or_port_is_refused(var: Path) -> None:
    with started(var) as first:
        other = Runner(var, PARLEY_PORT=str(free_port()))
        assert other.rest() == 1
        assert re.fullmatch(
            rf"Parley runs from .* already \(process {first.process.pid}\): .*PARLEY_VAR.*\n", other.output
        )
        elsewhere = var.with_name("elsewhere")
        other = Runner(elsewhere, PARLEY_PORT=address(first).rsplit(":", 1)[1])
        assert other.rest() == 1
        assert re.fullmatch(r"Port \d+ on 127.0.0.1 is taken: .*PARLEY_PORT\.\n", other.output)
        assert not elsewhere.exists()
        assert json.loads(get(first, "/readyz"))["status"] == "ok"


def test_death_of_one_process_ends_all_with_a_nonzero_exit_code(var: Path) -> None:
    with started(var) as runner:
        found = re.search(r"web +started \(pid=(\d+)\)", runner.output)
        assert found
        processes = runner.processes()
        os.kill(int(found[1]), signal.SIGKILL)
        assert runner.rest() != 0
        assert not still_running(processes)
        assert Postgres(var).pid() is None


def test_server_starts_again_after_its_runner_was_killed(var: Path) -> None:
    with started(var) as killed:
        processes = killed.processes()
        killed.end(signal.SIGKILL)
        if sys.platform == "linux":
            assert not still_running(processes)
    with started(var) as runner:
        assert json.loads(get(runner, "/readyz"))["status"] == "ok"
        assert runner.end(signal.SIGTERM) == 0
