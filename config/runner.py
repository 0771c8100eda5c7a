"""`script/server`: starts the embedded servers, migrates, and runs all processes until Ctrl-C."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from config.embedded.folders import CannotStart
from config.embedded.running import running
from config.env import BASE_DIR, ENV
from config.port import PortTaken, listen
from config.processes import Manager, create_manager

READY_SECONDS = 60
# Addresses at which a server that listens on all interfaces can be reached.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
SIGN_INS = "demo-sign-ins.txt"


def main() -> int:
    """Run until a signal or until a process ends; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)
    host, port, var = ENV["PARLEY_HOST"], ENV["PARLEY_PORT"], ENV["PARLEY_VAR"]
    wait_for_port(host, port)
    with running(var, database_url=ENV["DATABASE_URL"], redis_url=ENV["REDIS_URL"]) as (database_url, redis_url):
        environ = {**os.environ, "PARLEY_VAR": str(var), "DATABASE_URL": database_url, "REDIS_URL": redis_url}
        prepare(environ)
        return supervise(create_manager(var, web_processes=ENV["PARLEY_WEB_PROCESSES"], environ=environ))


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def wait_for_port(host: str, port: int, seconds: float = 3) -> None:
    """Return when the port is free; a killed server may need a moment to release it. Raises PortTaken."""
    end = time.monotonic() + seconds
    while True:
        try:
            return listen(host, port).close()
        except PortTaken:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def prepare(environ: dict[str, str]) -> None:
    """Migrate and create the demo in a separate process, so that this one stays small. Raises CannotStart."""
    command = [sys.executable, "-m", "config.prepare"]
    done = subprocess.run(command, env=environ, cwd=BASE_DIR, start_new_session=True)  # noqa: S603
    if done.returncode:
        raise CannotStart("The database could not be brought up to date: the reason stands above.")


def supervise(processes: Manager) -> int:
    """Run all processes until one ends or a signal arrives; print the address once the web process answers."""
    stopped = threading.Event()
    processes.when_started = threading.Thread(target=announce, args=(stopped.is_set,), daemon=True).start
    signal.signal(signal.SIGHUP, lambda number, frame: processes.terminate())
    processes.loop()
    stopped.set()
    return 0 if processes.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM) else processes.returncode or 0


def announce(stopped: Callable[[], bool]) -> None:
    """Wait for the web process, then print its address and, in the demo, the sign-ins."""
    if not wait_for_web(stopped):
        return
    names = ", ".join(ENV["PARLEY_HOSTS"])
    lines = ["", f"Parley answers at {address()}{f' for {names}' if names else ''}"]
    sign_ins: Path = ENV["PARLEY_VAR"] / SIGN_INS
    if ENV["PARLEY_DEMO"] and sign_ins.exists():
        lines += ["", *sign_ins.read_text().splitlines()]
    print("\n".join([*lines, "", "Ctrl-C stops it.", ""]), flush=True)


def address() -> str:
    """Return the address for a browser on this machine."""
    host = "localhost" if ENV["PARLEY_HOST"] in (*EVERYWHERE, "127.0.0.1") else ENV["PARLEY_HOST"]
    return f"http://{f'[{host}]' if ':' in host else host}:{ENV['PARLEY_PORT']}"


def wait_for_web(stopped: Callable[[], bool]) -> bool:
    """Poll /healthz until it answers 200; return False if `stopped` or after READY_SECONDS."""
    end = time.monotonic() + READY_SECONDS
    while not stopped() and time.monotonic() < end:
        if is_healthy():
            return True
        time.sleep(0.1)
    return False


def is_healthy() -> bool:
    """Return whether the web process answers /healthz with 200."""
    host = EVERYWHERE.get(ENV["PARLEY_HOST"], ENV["PARLEY_HOST"])
    name = next(iter(ENV["PARLEY_HOSTS"]), "localhost").lstrip(".")
    connection = http.client.HTTPConnection(host, ENV["PARLEY_PORT"], timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": name})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotStart, PortTaken) as fault:
        sys.exit(str(fault))
