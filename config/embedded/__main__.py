"""`python -m config.embedded start|stop|status|url`: the embedded servers by hand, for tests and tools.

`start` leaves them running and, as `url` does, prints `export` lines: eval "$(python -m config.embedded start)".
"""

import shlex
import sys
from pathlib import Path

from config.embedded import endpoints
from config.embedded.folders import CannotStart
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.embedded.running import lock_var, start, stop
from config.env import ENV


def main(arguments: list[str]) -> int:
    var: Path = ENV["PARLEY_VAR"]
    given_urls = {"database_url": ENV["DATABASE_URL"], "redis_url": ENV["REDIS_URL"]}
    match arguments:
        case ["start"]:
            with lock_var(var):
                _export(start(var, **given_urls))
        case ["stop"]:
            with lock_var(var):
                stop(var)
        case ["url"]:
            _export(endpoints(var, **given_urls))
        case ["status"]:
            return _status(Postgres(var), Redis(var))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def _export(urls: tuple[str, str]) -> None:
    for name, url in zip(("DATABASE_URL", "REDIS_URL"), urls, strict=True):
        print(f"export {name}={shlex.quote(url)}")


def _status(*servers: Postgres | Redis) -> int:
    for server in servers:
        print(f"{type(server).__name__}: {f'process {server.pid()}' if server.pid() else 'not running'}, {server.url}")
    return 0 if all(server.pid() for server in servers) else 3


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotStart as fault:
        sys.exit(str(fault))
