"""A pytest plugin, loaded before Django's settings: what the settings read from the environment in a test run."""

import os
import re
import sys

FIRST_REDIS_DATABASE = 1


def _redis_for_worker(url: str) -> str:
    """Return the URL of this xdist worker's own Redis database."""
    number = FIRST_REDIS_DATABASE + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if url.startswith("unix"):
        return re.sub(r"\?db=\d+$", "", url) + f"?db={number}"
    return re.sub(r"/\d*$", "", url.rstrip("/")) + f"/{number}" if url.count("/") > 2 else f"{url}/{number}"


if not os.environ.get("DATABASE_URL") or not os.environ.get("REDIS_URL"):
    sys.exit("The tests need servers: run `script/test`, which starts them, or set DATABASE_URL and REDIS_URL.")
os.environ["PARLEY_DEMO"] = "1"
os.environ["REDIS_URL"] = _redis_for_worker(os.environ["REDIS_URL"])
# Factories run on the test's own event loop, where nothing else waits; servers are processes without this.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
