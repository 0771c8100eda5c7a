"""A pytest plugin, loaded before Django's settings: it sets the environment of a test run."""

import os
import re
import sys

FIRST_REDIS_DATABASE = 1


def _redis_for_worker(url: str) -> str:
    """Return the URL of a Redis database for this xdist worker."""
    number = FIRST_REDIS_DATABASE + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if url.startswith("unix"):
        return re.sub(r"\?db=\d+$", "", url) + f"?db={number}"
    return re.sub(r"/\d*$", "", url.rstrip("/")) + f"/{number}" if url.count("/") > 2 else f"{url}/{number}"


if not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL"):
    sys.exit("The tests need servers: run `script/test`, which starts them, or set DATABASE_URL and REDIS_URL.")
os.environ["PARLEY_DEMO"] = "1"
os.environ["REDIS_URL"] = _redis_for_worker(os.environ["REDIS_URL"])
# Factories run on the test's event loop, where nothing else waits. Server processes do not have this variable.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
