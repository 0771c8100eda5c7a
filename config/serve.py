"""The web command, `python -m config.serve`: uvicorn or Daphne with all options that the protocol needs.

Neither server pings or compresses (the protocol has its own heartbeat, frames are small). Both refuse frames above
the limit, and both call `config.asgi.stop`, which closes the sockets, before they end.
"""

import argparse
import gc
import os
import resource
import socket
import sys
from typing import Any

# config.env reads them at its import.
os.environ.setdefault("PARLEY_ROLE", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import uvicorn

from config import asgi
from config.env import ENV
from config.limits import LIMITS
from config.port import PortTaken, listen
from gateway import websocket

OPEN_FILES = 65536
# Surviving allocations between two runs of the garbage collector. It finds almost nothing (messages and connections are
# freed by reference counts), and with Python's 700 it took a sixth of this process's CPU: docs/performance.md.
COLLECT_EVERY = 10_000
LAST_REQUESTS_SECONDS = 10
NEVER = 10**9


class Uvicorn(uvicorn.Server):
    """uvicorn that starts the gateway before it listens, and drains it before it closes the remaining connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await asgi.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asgi.stop()
        await super().shutdown(sockets)


def uvicorn_server(proxies: list[str]) -> Uvicorn:
    config = uvicorn.Config(
        asgi.application, interface="asgi3", lifespan="off", loop="uvloop", http=websocket.Http, ws=websocket.Protocol,
        ws_max_size=LIMITS.max_frame_bytes, ws_ping_interval=None, ws_ping_timeout=None, ws_per_message_deflate=False,
        log_config=None, log_level="warning", access_log=False, server_header=False,
        proxy_headers=bool(proxies), forwarded_allow_ips=proxies, timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )  # fmt: skip
    return Uvicorn(config)


def daphne_server(listener: socket.socket, proxies: list[str]) -> Any:
    """Return Daphne. It is imported here because its import installs Twisted's reactor."""
    from config.daphne import Daphne

    forwarded: dict[str, str] = {"proxy_forwarded_address_header": "X-Forwarded-For"} if proxies else {}
    return Daphne(
        asgi.application, endpoints=[f"fd:fileno={listener.fileno()}"], server_name="", verbosity=0, http_timeout=120,
        ping_interval=NEVER, websocket_timeout=-1, websocket_max_message_size=LIMITS.max_frame_bytes,
        websocket_max_frame_size=LIMITS.max_frame_bytes, application_close_timeout=LAST_REQUESTS_SECONDS, **forwarded,
    )  # fmt: skip


def allow_many_sockets() -> None:
    """Raise this process's limit of open files to OPEN_FILES or the hard limit. Each connection needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m config.serve", description="Serve Parley's web role.")
    parser.add_argument("--host", default=ENV["PARLEY_HOST"])
    parser.add_argument("--port", type=int, default=ENV["PARLEY_PORT"])
    options = parser.parse_args(arguments)
    allow_many_sockets()
    proxies: list[str] = ENV["PARLEY_PROXIES"] if ENV["PARLEY_BEHIND_PROXY"] else []
    listener = listen(options.host, options.port, shared=ENV["PARLEY_WEB_PROCESSES"] > 1)
    # Objects that exist by now live as long as the process: the garbage collector can skip them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    if ENV["PARLEY_SERVER"] == "daphne":
        daphne_server(listener, proxies).run()
    else:
        uvicorn_server(proxies).run(sockets=[listener])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PortTaken as fault:
        sys.exit(str(fault))
