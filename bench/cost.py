"""What processes cost: CPU of whole process trees, exited children included, and proportional memory. Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def _stat(pid: int) -> tuple[int, float] | None:
    """Return a process' parent and its CPU seconds, with those of the children that it has waited for."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICK


def process_trees(roots: Iterable[int]) -> dict[int, list[int]]:
    """Return, for each root process, itself and all its living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))):
            children[found[0]].append(int(entry.name))
    return {root: _below(root, children) for root in roots}


def _below(root: int, children: dict[int, list[int]]) -> list[int]:
    return [root, *(each for child in children[root] for each in _below(child, children))]


def cpu_seconds(roots: Iterable[int]) -> dict[int, float]:
    """Return the CPU time of each root's tree so far: of living processes, and of exited ones through their parents."""
    return {root: sum(found[1] for pid in tree if (found := _stat(pid))) for root, tree in process_trees(roots).items()}


def machine_seconds() -> float:
    """Return the CPU time that the whole machine has been busy so far, all cores together, stolen time excluded."""
    ticks = list(map(int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]))
    user, nice, system, _idle, _iowait, irq, softirq = ticks[:7]
    return (user + nice + system + irq + softirq) / TICK


def pss_kb(pid: int) -> int:
    """Return a process' proportional set size in KiB: pages that it shares count in part; 0 for one that has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
