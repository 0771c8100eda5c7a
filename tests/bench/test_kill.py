"""Nothing acked is lost when a web process is killed in the middle of `send`, and a build that would lose it is caught."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from bench.servers import ROOT, WEB

pytestmark = pytest.mark.slow
SECONDS = 180


def run_kills(web_module: str) -> dict[str, Any]:
    """Run the load and the kills in a process of their own, on servers of their own."""
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.killing", web_module], cwd=ROOT, env=own, capture_output=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["cut_off"] > 0, "no client noticed the kill: the test proves nothing"
    return found


def test_acked_messages_survive_kills_of_the_web_process_under_load() -> None:
    found = run_kills(WEB)
    assert found["faults"] == {}, found["examples"]
    assert found["acked"] == found["stored"] == found["sent"] > 1000


def test_checker_catches_a_build_that_acks_before_the_commit() -> None:
    found = run_kills("tests.bench.broken_build")
    assert found["faults"]["lost_acks"] > 0
    assert found["faults"]["phantom"] > 0
