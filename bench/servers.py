"""Starts Parley for a run in a folder of its own: PostgreSQL, Redis, web, worker and beat, as in production.

Only the rate limits' numbers are raised (protocol 2.7: load tests raise them); nothing is switched off.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench.ports import free_port, wait_for_port
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.embedded.running import running
from config.processes import commands

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "PARLEY_LIMIT_MESSAGES_PER_SECOND": "1000000",
    "PARLEY_LIMIT_MESSAGES_BURST": "1000000",
    "PARLEY_LIMIT_MESSAGES_PER_MINUTE": "100000000",
    "PARLEY_LIMIT_STRANGER_MESSAGES_PER_MINUTE": "100000000",
    "PARLEY_LIMIT_RECIPIENTS_PER_HOUR": "100000000",
    "PARLEY_LIMIT_HANDSHAKES_PER_MINUTE": "100000000",
    "PARLEY_LIMIT_GROUPS_PER_DAY": "100000000",
    "PARLEY_LIMIT_SUMMARY_PER_SECOND": "100000000",
    "PARLEY_LIMIT_FRAMES_PER_SECOND": "1000000",
    "PARLEY_LIMIT_FRAME_BYTES_PER_SECOND": "1000000000",
}
WEB = "config.serve"
ORDER = ("beat", "worker", "web")


@dataclass
class Servers:
    """The running servers: their port and folder, and the root process of each part."""

    port: int
    dsn: str
    var: Path
    environ: dict[str, str]
    web_module: str = WEB
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def root_pids(self) -> dict[str, int]:
        """Return the root process ids of all parts by name; the embedded servers are no children of this process."""
        embedded = {"postgres": Postgres(self.var).pid(), "redis": Redis(self.var).pid()}
        return {name: each.pid for name, each in self.processes.items()} | {
            n: pid for n, pid in embedded.items() if pid
        }

    def redis_version(self) -> str:
        with redis.Redis.from_url(self.environ["REDIS_URL"]) as client:
            return str(client.info("server")["redis_version"])

    def start(self, *names: str) -> None:
        """Start the named processes with the commands of production, also again after a kill."""
        for name, (role, command) in commands(self.var, web_processes=1).items():
            if name not in names:
                continue
            environ = {**self.environ, "PARLEY_ROLE": role, "PARLEY_PORT": str(self.port), "MALLOC_ARENA_MAX": "2"}
            with (self.var / f"{name}.log").open("ab") as log:
                words = [self.web_module if word == WEB else word for word in shlex.split(command)[1:]]
                self.processes[name] = subprocess.Popen(words, env=environ, cwd=ROOT, stdout=log, stderr=log)
        if "web" in names:
            wait_for_port(self.port, self.processes["web"])

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a Python program of the project and return its output. Raises RuntimeError with its standard error."""
        done = subprocess.run(
            [sys.executable, *arguments], env=self.environ, cwd=ROOT, input=stdin, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr.decode()[-3000:]}")
        return done.stdout

    def kill_web(self) -> None:
        """Kill the web process with SIGKILL, as a crash would."""
        self.processes["web"].kill()
        self.processes["web"].wait()

    def stop(self) -> None:
        for role in ORDER:
            if role in self.processes:
                _end(self.processes[role])


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def start_servers(environ: Mapping[str, str] = {}, web_module: str = WEB) -> Iterator[Servers]:
    """Run Parley in a fresh folder until the block ends, then remove the folder.

    `web_module` is the product's own, or that of a build which a test has broken on purpose.
    """
    with ExitStack() as stack:
        var = Path(tempfile.mkdtemp(prefix="parley-bench-"))
        stack.callback(shutil.rmtree, var, ignore_errors=True)
        dsn, redis_url = stack.enter_context(running(var, database_url="", redis_url=""))
        inherited = {
            **os.environ,
            "PARLEY_DEMO": "1",
            "PARLEY_VAR": str(var),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        environ = {**inherited, **LIMITS, "DATABASE_URL": dsn, "REDIS_URL": redis_url, **environ}
        parley = Servers(free_port(), dsn, var, environ, web_module)
        parley.run("manage.py", "migrate", "--verbosity", "0")
        stack.callback(parley.stop)
        parley.start("web")
        parley.start("worker", "beat")
        yield parley
