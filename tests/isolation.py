"""A pytest plugin of `script/test`: each of xdist's processes has Redis and PARLEY_VAR for itself.

Numbered Redis databases would not do: they share their pub/sub channels. It acts when it is imported, by `-p`, because
the settings are read before any hook or conftest of ours.
"""

import os
from pathlib import Path

from config.embedded import redis_url_of

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    var = Path(os.environ["PARLEY_VAR"]) / WORKER
    os.environ["PARLEY_VAR"] = str(var)
    os.environ["REDIS_URL"] = redis_url_of(var)
