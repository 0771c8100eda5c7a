"""`footprint`: the memory of an idle `script/server`, all processes, as PSS, which counts shared pages once."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import report
from bench.cost import cpu_seconds, process_trees, pss_kb
from bench.ports import free_port, wait_for_port
from bench.run import Options, Result, print_progress
from bench.servers import ROOT
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis

SECONDS = 15
FIRST_START_SECONDS = 300
STOP_SECONDS = 30
NO_FLOOR = "a server at rest does no unit of work, and no bare counterpart has the same parts"


@contextmanager
def run_script_server() -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """Run `script/server` in a fresh folder until the block ends."""
    var, port = Path(tempfile.mkdtemp(prefix="parley-footprint-")), free_port()
    environ = {**os.environ, "PARLEY_VAR": str(var), "PARLEY_PORT": str(port)}
    with (var / "server.out").open("wb") as out:
        server = subprocess.Popen(["script/server"], cwd=ROOT, env=environ, stdout=out, stderr=out)
    try:
        wait_for_port(port, server, FIRST_START_SECONDS)
        yield var, server
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(STOP_SECONDS)
        shutil.rmtree(var, ignore_errors=True)


def processes_by_part(root: int, var: Path) -> dict[str, list[int]]:
    """Return the processes of each part: those below `script/server` by role, and the embedded servers."""
    embedded = {"postgres": Postgres(var).pid(), "redis": Redis(var).pid()}
    pids_by_part = {name: process_trees([pid])[pid] for name, pid in embedded.items() if pid}
    embedded_pids = {pid for tree in pids_by_part.values() for pid in tree}
    for pid in process_trees([root])[root]:
        if pid not in embedded_pids:
            pids_by_part.setdefault(process_role(pid), []).append(pid)
    return pids_by_part


def process_role(pid: int) -> str:
    """Return the PARLEY_ROLE of a process, "runner" without one."""
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((word.partition(b"=")[2].decode() for word in words if word.startswith(b"PARLEY_ROLE=")), "runner")


def measure(options: Options) -> Result:
    print_progress("footprint: starting script/server in a fresh folder")
    print(report.describe_machine(), flush=True)
    seconds = options.seconds_or(SECONDS)
    with run_script_server() as (var, server):
        time.sleep(seconds / 2)
        pids_by_part = processes_by_part(server.pid, var)
        descendants = process_trees([server.pid])[server.pid]
        roots = [server.pid, *(pids[0] for pids in pids_by_part.values() if pids[0] not in descendants)]
        before = sum(cpu_seconds(roots).values())
        time.sleep(seconds / 2)
        spent = sum(cpu_seconds(roots).values()) - before
        sizes = {name: sum(map(pss_kb, pids)) / 1024 for name, pids in pids_by_part.items()}
    extra = {
        "footprint_mb": sum(sizes.values()),
        **{f"{name}_mb": size for name, size in sizes.items()},
        "processes": sum(map(len, pids_by_part.values())),
        "idle_cpu_percent": spent / (seconds / 2) * 100,
    }
    return Result("footprint", "server", 1, extra=extra, no_floor=NO_FLOOR)
