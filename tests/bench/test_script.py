"""`script/bench` runs real servers for a short time and writes the figures to a file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.servers import ROOT
from tests.bench.test_irc import LOG
from tests.bench.test_report import NAMED

pytestmark = pytest.mark.slow


def bench(tmp_path: Path, *arguments: str) -> Any:
    """Run the bench as the script does, without the setup, and return the JSON that it wrote."""
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--json", str(file)], cwd=ROOT, env=own | {"PARLEY_DEMO": "1"},
        capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(file.read_text())


def test_json_of_one_scenario_is_one_flat_object(tmp_path: Path) -> None:
    row = bench(tmp_path, "latency", "--seconds", "2")
    assert row.keys() >= NAMED
    assert row["acked"] == row["stored"] == row["sent"] > 200
    assert row["delivered"] + row["by_sync"] == row["sent"]
    assert all(row[name] > 0 for name in ("per_s", "cpu_ms_per_unit", "ack_p50_ms", "delivery_p99_ms", "limit_ratio"))
    floor = 2.5 * row["echo_cpu_ms"] + row["insert_cpu_ms"]
    assert row["over_floor"] == pytest.approx(row["cpu_ms_per_unit"] / floor, rel=0.02)


def test_replayed_day_reaches_every_member_exactly_once_and_in_order(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    talk = b"".join(b"[%02d:%02d] <nick%d> line %d\n" % (*divmod(1338 + n // 6, 60), n % 40, n) for n in range(600))
    (logs / "day.log").write_bytes(talk + LOG)
    row = bench(tmp_path, "replay", "--logs", str(logs))
    assert (row["speakers"], row["messages"], row["stored"]) == (43, 604, 604)
    assert row["delivered"] + row["by_sync"] == 604 * 42
