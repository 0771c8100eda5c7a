"""Addresses of the embedded PostgreSQL and Redis; pure, because every process imports it and none starts a server so.

`config.embedded.running` starts and stops them; `python -m config.embedded` does so by hand.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

DATABASE = "parley"
SUPERUSER = "postgres"
# A Unix socket's whole path fits in 104 bytes on macOS and 108 on Linux, the closing NUL included.
LONGEST_SOCKET = 103
LONGEST_NAME = len("/.s.PGSQL.5432")


def endpoints(var: Path, *, database_url: str, redis_url: str) -> tuple[str, str]:
    """Return the URLs of PostgreSQL and Redis: the given ones, and for an empty one that of the embedded server."""
    return database_url or postgres_url(var), redis_url or redis_url_of(var)


def postgres_url(var: Path) -> str:
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(socket_folder(var, 'postgres')))}"


def redis_url_of(var: Path) -> str:
    return f"unix://{quote(str(redis_socket(var)))}"


def redis_socket(var: Path) -> Path:
    return socket_folder(var, "redis") / "redis.sock"


def socket_folder(var: Path, name: str) -> Path:
    """Return the folder of a server's socket: its own under `var`, or a short one in /tmp where that path is too long."""
    folder = var / name
    if len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_SOCKET:
        return folder
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    return Path(f"/tmp/parley-{os.getuid()}-{digest}-{name}")
