"""Formats results: a table for people, and the flat object of `--json` for programs."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from bench.figures import percentile
from bench.run import Result

DIGITS = 3


def flatten(result: Result) -> dict[str, Any]:
    """Return one flat object; a figure that the scenario does not measure is null."""
    per_s = result.units / result.seconds if result.seconds else None
    cpu = sum(result.cpu.values()) / result.units * 1000 if result.units and result.cpu else None
    figures, verdict = result.figures, result.verdict
    row: dict[str, Any] = {
        "scenario": result.scenario,
        "unit": result.unit,
        "per_s": per_s,
        "cpu_ms_per_unit": cpu,
    }
    for name in ("ack", "delivery"):
        latencies = getattr(figures, f"{name}_ms") if figures else []
        row |= {f"{name}_p{p}_ms": percentile(latencies, p) for p in (50, 95, 99)}
    counted = ("sent", "acked", "stored", "delivered", "lost", "duplicated", "out_of_order", "leaks", "unacked", "phantom",
               "altered", "misacked", "gaps", "unfinished", "by_sync", "refused")  # fmt: skip
    row |= {name: getattr(verdict, name) if verdict else None for name in counted}
    row["seconds"] = result.seconds or None
    row |= {
        f"cpu_ms_{part}": spent / result.units * 1000 if result.units else None for part, spent in result.cpu.items()
    }
    row["over_floor"] = cpu / result.floor_cpu_ms if cpu and result.floor_cpu_ms else None
    row |= _limits(result, per_s)
    return {name: _round(value) for name, value in (row | result.extra).items()}


def _limits(result: Result, per_s: float | None) -> dict[str, Any]:
    if result.limits is None:
        return {"limit_ratio": None}
    inserts, echo = result.limits
    lower = min(inserts.per_s, echo.per_s)
    return {
        "limit_ratio": per_s / lower if per_s else None,
        "inserts_per_s": inserts.per_s,
        "insert_cpu_ms": inserts.cpu_ms,
        "echoes_per_s": echo.per_s,
        "echo_cpu_ms": echo.cpu_ms,
    }


def _round(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, DIGITS if abs(value) < 100 else 1) if abs(value) >= 0.1 else round(value, 5)


def find_faults(result: Result) -> dict[str, int]:
    """Return the counts of faults and protocol breaches, by name; empty for a clean run."""
    breaches = {name: count for name, count in result.counts.items() if name.startswith("BREACH")}
    return (result.verdict.faults() if result.verdict else {}) | breaches


def format_table(result: Result) -> str:
    """Return the figures of one scenario as lines of name and value; without a floor, the reason stands in its row."""
    row = flatten(result)
    if result.no_floor:
        row["over_floor"] = f"none: {result.no_floor}"
    row = {name: value for name, value in row.items() if value is not None}
    width = max(map(len, row))
    lines = [f"  {name:<{width}}  {value:>14,}" if isinstance(value, int | float) else f"  {name:<{width}}  {value:>14}"
             for name, value in row.items()]  # fmt: skip
    client_counts = [
        f"  {name}: {count}" for name, count in sorted(result.counts.items()) if not name.startswith("delivered")
    ]
    verdict_line = ["  the checker found no fault"] if result.verdict and not find_faults(result) else []
    examples = [f"  FAULT {each}" for each in (result.verdict.examples if result.verdict else [])]
    return "\n".join([f"{result.scenario}", *lines, "  seen by the clients:", *client_counts, *verdict_line, *examples])


def describe_machine(dsn: str | None = None, redis_version: str = "") -> str:
    """Return the machine and the versions of the measurement, in one line."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    parts = [
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"uvicorn {version('uvicorn')}",
    ]
    if dsn:
        with psycopg.connect(dsn) as connection:
            number = connection.info.server_version
            parts.append(f"PostgreSQL {number // 10000}.{number % 10000}")
    if redis_version:
        parts.append(f"Redis {redis_version}")
    return "; ".join(parts)
