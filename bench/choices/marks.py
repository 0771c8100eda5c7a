"""Decision 0008: the cost of the receipt log for a mark, by the real statement with and without its part for the log.

Runs on its own embedded PostgreSQL with the project's migrations; the same batches with and without log in turn.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.ids import ConversationId, DeviceId, UserId

os.environ.setdefault("PARLEY_DEMO", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import psycopg  # noqa: E402

from bench.choices.keys import Pairs, migrate_database, populate  # noqa: E402
from bench.choices.machine import machine  # noqa: E402
from bench.cost import cpu_seconds  # noqa: E402
from config.embedded.running import running  # noqa: E402
from receipts.marks import MARK, Mark, statement_values  # noqa: E402

SIZES = (1, 20, 100)
MARKS = 4000
ROUNDS = 3
LOG, END = ("), claimed AS (", "\n)\nSELECT i.user_id")
WITHOUT = MARK[: MARK.index(LOG)] + MARK[MARK.index(END) + 1 :]
OPEN = "UPDATE chat_conversation SET last_seq = 1000000"


def mark(database: "psycopg.Connection[Any]", sql: str, pairs: Pairs, first: int, size: int) -> tuple[float, float]:
    """Record MARKS delivered marks in batches; return CPU microseconds a mark, of the backend and of this process."""
    backend = database.info.backend_pid
    before, began = cpu_seconds([backend])[backend], time.process_time()
    for number in range(MARKS // size):
        marks = [
            Mark(UserId(user), ConversationId(conversation), first + number, 0, DeviceId(1))
            for conversation, user in pairs[:size]
        ]
        outcomes = {row[2] for row in database.execute(sql, statement_values(marks), prepare=True).fetchall()}
        assert outcomes == {"done"}, outcomes
    done = MARKS // size * size
    return 1e6 * (cpu_seconds([backend])[backend] - before) / done, 1e6 * (time.process_time() - began) / done


def main() -> None:
    costs: dict[tuple[int, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="parley-marks-") as folder:
        var = Path(folder)
        with running(var, database_url="", redis_url="") as (database_url, redis_url):
            migrate_database(var, database_url, redis_url)
            with psycopg.connect(database_url, autocommit=True) as database:
                pairs = populate(database)
                database.execute(OPEN)
                database.execute("ANALYZE")
                database.execute("SET plan_cache_mode = force_generic_plan")
                first = 1
                for size in SIZES * (ROUNDS + 1):
                    for name, sql in (("without", WITHOUT), ("with", MARK)):
                        costs.setdefault((size, name), []).append(mark(database, sql, pairs, first, size))
                        first += MARKS
    print(machine(), f"\n{MARKS} marks, fsync on, median of {ROUNDS}")
    for (size, name), runs in sorted(costs.items()):
        cpu, own = (
            statistics.median(column) for column in zip(*runs[1:], strict=True)
        )  # the first is a warm-up, not counted
        print(f"batches of {size:<5}{name + ' the log':<18}{cpu:>8.1f} µs of PostgreSQL {own:>8.1f} µs of Python")


if __name__ == "__main__":
    main()
