"""The processes of one machine, web, worker and beat, run under honcho: started, printed, and stopped together."""

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

# Seconds; longer than a drain, its last requests and the worker's tasks take. honcho kills what is left then: Celery
# itself waits for its tasks without end.
honcho.manager.KILL_WAIT = 30
PR_SET_PDEATHSIG = 1


def commands(var: Path, *, web_processes: int) -> dict[str, tuple[str, str]]:
    """Return name → (role, command) of every process."""
    # As root Celery advises against root, five lines long; PostgreSQL is the one that must not run so, and does not.
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
    """Ask Linux for a signal when the parent goes: a runner that was killed leaves nothing behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


class Process(honcho.process.Process):
    """honcho's process, whose helper and child both end with the runner, even after a SIGKILL."""

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
    """honcho's printer; when the terminal is gone it goes on into nothing, so that all can still be stopped in order."""

    def write(self, message: Any) -> None:
        try:
            super().write(message)
        except OSError:
            self.output = Path(os.devnull).open("w")  # noqa: SIM115


class Manager(honcho.manager.Manager):
    """honcho's manager; asked to end before all have started, it ends when they have."""

    def __init__(self) -> None:
        # A line of JSON must be one from its beginning.
        super().__init__(Printer(sys.stdout, prefix=ENV["PARLEY_LOG"] != "json"))
        self._process_ctor = Process
        self._stop_requested = False
        self.when_started: Callable[[], object] = lambda: None

    def _start(self) -> None:
        # Otherwise the helpers' collectors write to every object, and no page of memory stays shared with them.
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
    """Return a manager of all processes, not started; `environ` is theirs, each with its own PARLEY_ROLE."""
    processes = Manager()
    for name, (role, command) in commands(var, web_processes=web_processes).items():
        # Many small threads share few arenas: a third less memory, no slower here.
        variables = {"PARLEY_ROLE": role, "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
        processes.add_process(name, command, env={**environ, **variables}, cwd=str(BASE_DIR))
    return processes
