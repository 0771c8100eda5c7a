"""Finds free TCP ports, and waits until a server listens on one."""

import socket
import subprocess
import time


def free_port() -> int:
    """Return a port of 127.0.0.1 without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, server: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    """Return once `server` accepts connections. Raises RuntimeError if it exits before or takes longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if server.poll() is not None:
                raise RuntimeError(f"{server.args!r} ended with {server.returncode} before it listened") from None
            time.sleep(0.05)
    raise RuntimeError(f"no server listens on port {port} after {seconds} s")
