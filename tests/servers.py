"""Web processes for tests, started as in production, with the test database and a free port."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30
# Tests send more in a second than a person does. Tests of the limits set their own values.
GENEROUS = {
    f"PARLEY_LIMIT_{name}": "100000"
    for name in (
        "MESSAGES_PER_SECOND", "MESSAGES_BURST", "MESSAGES_PER_MINUTE", "STRANGER_MESSAGES_PER_MINUTE",
        "HANDSHAKES_PER_MINUTE", "GROUPS_PER_DAY", "JOINS_PER_DAY", "RECIPIENTS_PER_HOUR", "SIGN_INS_PER_MINUTE", "URGENT_PER_HOUR",
        "SUMMARY_PER_SECOND", "SEARCHES_PER_SECOND",
        "CHANGES_PER_MINUTE", "FRAMES_PER_SECOND",
    )
} | {"PARLEY_LIMIT_OVERLOAD_LAG": "60", "PARLEY_LIMIT_FRAME_BYTES_PER_SECOND": "1000000000"}  # fmt: skip


class Server:
    """A running web process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/v1"

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        """Send SIGTERM without waiting for the end."""
        self.process.send_signal(signal.SIGTERM)

    def text(self) -> str:
        """Return its log so far."""
        return self.log.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(database: str, *, port: int | None = None, **environ: str) -> Server:
    """Start a web process and return it once it answers; `environ` overrides limits and settings."""
    port = port or free_port()
    log = Path(tempfile.mkstemp(prefix="parley-test-", suffix=".log")[1])
    variables = {**os.environ, **GENEROUS, "DATABASE_URL": database_url(database), "PARLEY_ROLE": "web", **environ}
    variables.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
    command = [sys.executable, "-m", "config.serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=out, stderr=subprocess.STDOUT)
    server = Server(process, port, log)
    _wait(server)
    return server


@contextmanager
def serve(database: str, *, port: int | None = None, **environ: str) -> Iterator[Server]:
    """Run a web process for the duration of a block."""
    server = start(database, port=port, **environ)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.terminate()
            server.process.wait(30)
        server.log.unlink()


def database_url(name: str) -> str:
    """Return DATABASE_URL with another database name."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def _wait(server: Server) -> None:
    """Poll until the process answers; there is no event to wait for across processes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.text()}")
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the server did not answer within {START_SECONDS} s:\n{server.text()}")
