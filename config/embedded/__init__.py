"""Addresses of the embedded PostgreSQL and Redis. Its import has no side effects: every process imports it.

`config.embedded.running` starts and stops the servers; `python -m config.embedded` does so by hand.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

DATABASE = "parley"
SUPERUSER = "postgres"
# The path of a Unix socket may have 104 bytes on macOS and 108 on Linux, including the final NUL.
LONGEST_SOCKET = 103
LONGEST_NAME = len("/.s.PGSQL.5432")


def endpoints(var: Path, *, database_url: str, redis_url: str) -> tuple[str, str]:
    """Return the URLs of PostgreSQL and Redis. An empty one is replaced by that of the embedded server."""
    return database_url or postgres_url(var), redis_url or redis_url_of(var)


def postgres_url(var: Path) -> str:
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(socket_folder(var, 'postgres')))}"


def redis_url_of(var: Path) -> str:
    return f"unix://{quote(str(redis_socket(var)))}"


def redis_socket(var: Path) -> Path:
    return socket_folder(var, "redis") / "redis.sock"


def socket_folder(var: Path, name: str) -> Path:
    """Return the folder of a server's socket: under `var`, or in /tmp if that path is too long for a socket."""
    folder = var / name
    if len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_SOCKET:
        return folder
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    return Path(f"/tmp/parley-{os.getuid()}-{digest}-{name}")
