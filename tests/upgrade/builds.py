"""The two builds: the files of an older one, and the processes of either, started on one folder as an operator would."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.upgrade.api import Api

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 180
STOP_SECONDS = 90
# The rates do not matter here; a group of 8 is a large one, so that a few people make one; counts are never old; tokens
# live through the whole check.
LIMITS = {
    **dict.fromkeys(("MESSAGES_PER_SECOND", "MESSAGES_BURST", "SUMMARY_PER_SECOND", "RECIPIENTS_PER_HOUR"), "1000000"),
    **dict.fromkeys(("MESSAGES_PER_MINUTE", "STRANGER_MESSAGES_PER_MINUTE", "CHANGES_PER_MINUTE"), "1000000"),
    **dict.fromkeys(("GROUPS_PER_DAY", "JOINS_PER_DAY", "HANDSHAKES_PER_MINUTE", "UPLOADS_PER_MINUTE"), "100000"),
    **dict.fromkeys(("FRAMES_PER_SECOND", "FRAME_BYTES_PER_SECOND"), "1000000"),
    "FANOUT_THRESHOLD": "8",
    "RECEIPT_COUNTS": "0",
    "ACCESS_TOKEN": "3600",
    "DRAIN_SECONDS": "0",
}
EVERY_BEAT_TASK = """
import django; django.setup()
from config.celery import app
app.loader.import_default_modules()
for entry in app.conf.beat_schedule.values():
    app.tasks[entry["task"]].run(*entry.get("args", ()), **entry.get("kwargs", {}))
"""


class CheckFailed(Exception):
    """The check could not be made; the text says at which step and why."""


class Build:
    """One build's files at `root`, run on the data under `var`."""

    def __init__(self, root: Path, var: Path, port: int) -> None:
        self.root, self.var, self.port = root, var, port
        self.log = var.parent / f"{root.name}.log"
        foreign = ("PARLEY_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "PYTHONPATH")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environ |= {f"PARLEY_LIMIT_{name}": value for name, value in LIMITS.items()}
        self.environ |= {"PARLEY_DEMO": "1", "PARLEY_VAR": str(var), "PARLEY_PORT": str(port)}
        self.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run everything with `script/server`, which migrates first; return once it answers."""
        with self._process("script/server"):
            yield

    @contextmanager
    def serving_without_worker(self) -> Iterator[None]:
        """Run the embedded servers and one web process: what is queued stays queued."""
        self.python("-m", "config.embedded", "start")
        try:
            with self._process(".venv/bin/python", "-m", "config.serve"):
                yield
        finally:
            self.python("-m", "config.embedded", "stop")

    def python(self, *arguments: str) -> str:
        """Run a Python program of this build and return what it printed. Raises CheckFailed with its complaint."""
        done = subprocess.run(
            [".venv/bin/python", *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CheckFailed(
                f"{self.root}: {' '.join(arguments)[:200]} failed:\n{(done.stdout + done.stderr)[-3000:]}"
            )
        return done.stdout

    def run_beat_tasks(self) -> None:
        """Run every task of the clock once, here and now: sweeps and purges come hourly by themselves."""
        self.python("-c", EVERY_BEAT_TASK)

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run a statement as the superuser that the embedded server has; return the rows by column name."""
        urls = dict(
            word.split("=", 1) for word in shlex.split(self.python("-m", "config.embedded", "url")) if "=" in word
        )
        with psycopg.connect(urls["DATABASE_URL"], row_factory=dict_row, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def _process(self, *command: str) -> Iterator[None]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=self.root, env=self.environ, stdout=log, stderr=log)
        try:
            self._wait_until_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                if Api(self.port).ask("GET", "/readyz").status == 200:
                    return
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                raise CheckFailed(f"{self.root} does not answer:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)
