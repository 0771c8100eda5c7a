"""Computes counts and latencies from a history. Faults are the checker's matter."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.history import Kind, Row

MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Figures:
    """Counts and latencies of a window; latencies in milliseconds from the intended time of the message, ascending."""

    seconds: float
    acked: int
    delivered: int
    ack_ms: Sequence[float]
    delivery_ms: Sequence[float]


def window_figures(history: Iterable[Row], start: int, end: int) -> Figures:
    """Return the figures of [start, end), monotonic nanoseconds."""
    intended: dict[int, int] = {}
    acks: list[Row] = []
    deliveries: list[Row] = []
    for row in history:
        if row.kind == Kind.SENT:
            intended.setdefault(row.client, row.other)
        elif start <= row.at < end:
            if row.kind == Kind.ACKED:
                acks.append(row)
            elif row.kind == Kind.DELIVERED:
                deliveries.append(row)
    return Figures(
        (end - start) / 1e9, len(acks), len(deliveries), _latencies(acks, intended), _latencies(deliveries, intended)
    )


def _latencies(rows: list[Row], intended: dict[int, int]) -> list[float]:
    return sorted((row.at - intended[row.client]) / MILLISECOND for row in rows if row.client in intended)


def percentile(ascending: Sequence[float], percent: float) -> float | None:
    """Return the nearest-rank percentile, None for an empty sequence."""
    if not ascending:
        return None
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]
