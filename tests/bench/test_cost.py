"""The CPU of a process tree includes that of its exited children."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.cost import cpu_seconds, machine_seconds, process_trees, pss_kb

SPEND = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
# A process that runs one child to its end, starts a second, prints a line, and waits for its input to close.
PARENT = f'import subprocess, sys; c = [sys.executable, "-c", {SPEND!r}]; subprocess.run(c); ' + (
    'w = subprocess.Popen(["cat"], stdin=subprocess.PIPE); print("spent", flush=True); sys.stdin.read()'
)


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "spent\n"
    yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


def test_cpu_of_an_exited_child_counts_for_its_parent(parent: "subprocess.Popen[str]") -> None:
    assert cpu_seconds([parent.pid])[parent.pid] >= 0.3


def test_process_tree_includes_living_children(parent: "subprocess.Popen[str]") -> None:
    assert len(process_trees([parent.pid])[parent.pid]) == 2
    assert parent.pid in process_trees([os.getpid()])[os.getpid()]


def test_ended_process_has_no_memory(parent: "subprocess.Popen[str]") -> None:
    assert pss_kb(parent.pid) > 1000
    assert pss_kb(2**22 + 1) == 0


def test_machine_cpu_includes_this_process() -> None:
    before, own = machine_seconds(), sum(os.times()[:2])
    exec(SPEND)
    assert machine_seconds() - before >= sum(os.times()[:2]) - own - 0.05
