"""A pytest plugin of `script/test`: each process of xdist gets its own Redis and PARLEY_VAR.

Numbered Redis databases are not enough, because they share pub/sub channels. The plugin acts at its import (by `-p`),
because the settings are read before any hook or conftest of the project.
"""

import os
from pathlib import Path

from config.embedded import redis_url_of

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:
    var = Path(os.environ["PARLEY_VAR"]) / WORKER
    os.environ["PARLEY_VAR"] = str(var)
    os.environ["REDIS_URL"] = redis_url_of(var)
