"""The processes of one machine (web, worker and beat) under honcho, which starts, prints and stops them together."""

import ctypes
import functools
import gc
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import honcho.manager
import honcho.printer
import honcho.process

from config.env import BASE_DIR, ENV

# Seconds until honcho kills a stopping process: longer than a drain with its last requests and than the worker's tasks.
# Celery itself would wait for its tasks without limit.
honcho.manager.KILL_WAIT = 30
PR_SET_PDEATHSIG = 1


def commands(var: Path, *, web_processes: int) -> dict[str, tuple[str, str]]:
    """Return the role and command of every process by its name."""
    # Celery warns at length when it runs as root. Only PostgreSQL must not run as root, and it does not.
    celery = """-W "ignore:You're running the worker" -m celery --app config.celery --quiet"""
    web = [f"web.{number}" for number in range(1, web_processes + 1)] if web_processes > 1 else ["web"]
    return {
        **{name: ("web", _python("-m config.serve")) for name in web},
        "worker": (
            "worker",
            _python(f"{celery} worker --loglevel WARNING --without-gossip --without-mingle"),
        ),
        "beat": ("beat", _python(f"{celery} beat --loglevel WARNING --schedule {shlex.quote(str(var / 'beat'))}")),
    }


def _python(arguments: str) -> str:
    return f"exec {shlex.quote(sys.executable)} {arguments}"


def die_with_parent(number: int) -> None:
    """Request signal `number` from Linux when the parent dies, so that a killed runner leaves no process behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


class Process(honcho.process.Process):
    """honcho's process. Its helper and child end with the runner, even if the runner gets a SIGKILL."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._child_ctor = functools.partial(
            honcho.process.Popen,
            preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
        )

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        die_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


class Printer(honcho.printer.Printer):
    """honcho's printer. If the terminal is closed it discards the output, so that processes can still stop in order."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = Path(os.devnull).open("w")  # noqa: SIM115


class Manager(honcho.manager.Manager):
    """honcho's manager. If it is stopped before all processes have started, it ends once they have."""

    def __init__(self) -> None:
        # A prefix would make a line of JSON unreadable for machines.
        super().__init__(Printer(sys.stdout, prefix=ENV["PARLEY_LOG"] != "json"))
        self._process_ctor = Process
        self._stop_requested = False
        self.when_started: Callable[[], object] = lambda: None

    def _start(self) -> None:
        # Without it the helpers' garbage collectors write to every object, and no page of memory stays shared.
        gc.freeze()
        super()._start()
        self.when_started()

    def terminate(self) -> None:
        self._stop_requested = True
        if super()._all_started():
            super().terminate()

    def _all_started(self) -> bool:
        started = bool(super()._all_started())
        if started and self._stop_requested:
            super().terminate()
        return started


def create_manager(var: Path, *, web_processes: int, environ: dict[str, str]) -> Manager:
    """Return a manager of all processes, not started. They get `environ` and their own PARLEY_ROLE."""
    processes = Manager()
    for name, (role, command) in commands(var, web_processes=web_processes).items():
        # Two malloc arenas for all threads: a third less memory, and not slower here.
        variables = {"PARLEY_ROLE": role, "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
        processes.add_process(name, command, env={**environ, **variables}, cwd=str(BASE_DIR))
    return processes
