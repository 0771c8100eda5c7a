"""CPU of whole process trees, exited children included, and proportional memory of processes. Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def _stat(pid: int) -> tuple[int, float] | None:
    """Return the parent of a process and its CPU seconds, including those of exited children."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICK


def process_trees(roots: Iterable[int]) -> dict[int, list[int]]:
    """Return each root process with all its living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children[stat[0]].append(int(entry.name))
    return {root: _with_descendants(root, children) for root in roots}


def _with_descendants(root: int, children: dict[int, list[int]]) -> list[int]:
    return [root, *(each for child in children[root] for each in _with_descendants(child, children))]


def cpu_seconds(roots: Iterable[int]) -> dict[int, float]:
    """Return the CPU seconds of each root's tree so far: living processes, and exited ones through their parents."""
    return {root: sum(stat[1] for pid in tree if (stat := _stat(pid))) for root, tree in process_trees(roots).items()}


def machine_seconds() -> float:
    """Return the CPU seconds of the whole machine so far, all cores together, without stolen time."""
    ticks = list(map(int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]))
    user, nice, system, _idle, _iowait, irq, softirq = ticks[:7]
    return (user + nice + system + irq + softirq) / TICK


def pss_kb(pid: int) -> int:
    """Return the proportional set size of a process in KiB; shared pages count in part. 0 if the process has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
