"""`script/test`: finds a browser, starts separate PostgreSQL and Redis servers, runs pytest, and stops the servers.

Pytest's environment has DATABASE_URL, REDIS_URL, PARLEY_VAR, PARLEY_SECRET_KEY, PARLEY_DEMO=1, PYTEST_DEBUG_TEMPROOT
(a folder for this run's temporary files) and PARLEY_CHROMIUM (the path of a browser, empty if there is none).
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.embedded.folders import CannotStart
from config.embedded.redis import Redis
from config.embedded.running import running
from config.env import BASE_DIR, ENV
from tests.browsers import find_browser

PROCESSES = 2
PASSED, FAILED, NO_TESTS = 0, 1, 5  # exit codes of pytest after which the next run starts
NO_BROWSER = "Not run: the browser tests, because there is no Chromium here and it could not be fetched: install it."


def main(arguments: list[str]) -> int:
    """Run pytest with these arguments; return its exit code, or 1 if CI has no browser."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    fast = "--fast" in arguments
    chosen = [argument for argument in arguments if argument != "--fast"]
    wanted = not fast and chooses_browser_tests(chosen)
    browser = find_browser() if wanted else ""
    with servers() as environ:
        environ["PARLEY_CHROMIUM"] = browser
        codes = []
        for marks in select_marks(fast=fast, browser=bool(browser)):
            codes.append(run([*pytest(chosen), "-m", marks, *chosen], environ))
            if codes[-1] not in (PASSED, FAILED, NO_TESTS):
                break
    code = combine_exit_codes(codes)
    if browser or not wanted:
        return code
    print(NO_BROWSER)
    return code or (1 if os.environ.get("CI") == "true" else 0)


def chooses_browser_tests(chosen: list[str]) -> bool:
    """Return whether pytest's arguments choose browser tests: with no path they choose all tests."""
    paths = [Path(argument.split("::")[0]).resolve() for argument in chosen if not argument.startswith("-")]
    paths = [path for path in paths if path.exists()]
    home = BASE_DIR / "tests" / "browser"
    return not paths or any(path.is_relative_to(home) or home.is_relative_to(path) for path in paths)


def select_marks(*, fast: bool, browser: bool) -> list[str]:
    """Return the marks of each run of pytest.

    Browser tests need a separate run: Playwright leaves an event loop running in its process, so that no other test
    can start one.
    """
    if fast:
        return ["not slow and not browser"]
    return ["not browser", "browser"] if browser else ["not browser"]


def run(command: list[str], environ: dict[str, str]) -> int:
    """Run pytest and return its exit code. Ctrl-C is left to pytest, which prints its results and ends."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        return subprocess.run(command, env=environ, cwd=BASE_DIR).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def combine_exit_codes(codes: list[int]) -> int:
    """Return the first failure; a run without tests is a failure only if no run had tests."""
    failures = [code for code in codes if code not in (PASSED, NO_TESTS)]
    return failures[0] if failures else min(codes)


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Run separate servers for the tests, with a Redis for each process of xdist; yield pytest's environment."""
    var: Path = ENV["PARLEY_VAR"] / "test"
    redis = [Redis(var / f"gw{number}") for number in range(PROCESSES)]
    # As root the tests' PostgreSQL runs as another user, for which they open their folders. Another run of pytest would
    # close pytest's common folder again.
    with (
        tempfile.TemporaryDirectory(prefix="parley-test-") as folder,
        running(var, database_url=ENV["DATABASE_URL"], redis_url=ENV["REDIS_URL"]) as (database_url, redis_url),
    ):
        try:
            for server in redis:
                server.start()
            yield {
                **os.environ,
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "PARLEY_VAR": str(var),
                "PARLEY_DEMO": "1",
                "PARLEY_SECRET_KEY": secrets.token_urlsafe(48),
                "PYTEST_DEBUG_TEMPROOT": folder,
            }
        finally:
            for server in redis:
                server.stop()


def pytest(chosen: list[str]) -> list[str]:
    """Return pytest's command: on several processes for all tests, on one for chosen tests or external servers."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.isolation"]
    everything = all(argument.startswith("-") for argument in chosen)
    return [*command, "-n", str(PROCESSES)] if everything and not ENV["REDIS_URL"] else command


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotStart as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
