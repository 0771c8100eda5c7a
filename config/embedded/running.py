"""Start and stop of the embedded servers. A PARLEY_VAR has one owner at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.embedded import endpoints, postgres, redis
from config.embedded.folders import CannotStart, wait_until

WAIT_SECONDS = 30


@contextmanager
def running(var: Path, *, database_url: str, redis_url: str) -> Iterator[tuple[str, str]]:
    """Lock `var`, start the embedded servers that have no URL, yield both URLs, and stop the embedded servers.

    Servers that a killed owner or `python -m config.embedded start` left running are reused and stopped as well.
    Raises CannotStart if another process has locked `var` or a server does not answer.
    """
    with lock_var(var):
        try:
            yield start(var, database_url=database_url, redis_url=redis_url)
        finally:
            stop(var)


def start(var: Path, *, database_url: str, redis_url: str) -> tuple[str, str]:
    """Start the embedded servers for empty URLs; return both URLs once both servers answer. Raises CannotStart."""
    urls = endpoints(var, database_url=database_url, redis_url=redis_url)
    for server in (postgres.Postgres(var), redis.Redis(var)):
        if server.url in urls:
            server.start()
    wait_until(
        lambda: postgres.is_ready(urls[0]),
        WAIT_SECONDS,
        "No PostgreSQL answers at DATABASE_URL: start it, or unset DATABASE_URL.",
    )
    wait_until(
        lambda: redis.is_ready(urls[1]), WAIT_SECONDS, "No Redis answers at REDIS_URL: start it, or unset REDIS_URL."
    )
    return urls


def stop(var: Path) -> None:
    """Stop the embedded servers of `var` that are running."""
    redis.Redis(var).stop()
    postgres.Postgres(var).stop()


@contextmanager
def lock_var(var: Path) -> Iterator[None]:
    """Lock `var` for the length of a block; the kernel unlocks it with the process. Raises CannotStart if taken."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        file = (var / "lock").open("a+")
    except OSError as fault:
        raise CannotStart(
            f"{var} cannot be written ({fault.strerror}): start as its owner, or set PARLEY_VAR to another folder."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CannotStart(
                f"Parley runs from {var} already (process {file.read().strip()}): stop that first, "
                "or set PARLEY_VAR to another folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
