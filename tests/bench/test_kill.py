"""Acked messages survive kills of the web process during `send`; the checker catches a build that loses them."""

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
    """Run the load and the kills in a separate process with its own servers; return the verdict."""
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.killing", web_module], cwd=ROOT, env=own, capture_output=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert verdict["cut_off"] > 0, "no client noticed the kill: the test proves nothing"
    return verdict


def test_acked_messages_survive_kills_of_the_web_process_under_load() -> None:
    verdict = run_kills(WEB)
    assert verdict["faults"] == {}, verdict["examples"]
    assert verdict["acked"] == verdict["stored"] == verdict["sent"] > 1000


def test_checker_catches_a_build_that_acks_before_the_commit() -> None:
    verdict = run_kills("tests.bench.broken_build")
    assert verdict["faults"]["lost_acks"] > 0
    assert verdict["faults"]["phantom"] > 0
