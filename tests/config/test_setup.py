"""`script/setup` on a machine with missing parts: one sentence that names the part and what to do."""

import shutil
import subprocess
from pathlib import Path

import pytest

from config.env import BASE_DIR

TOOLS = ("bash", "cmp", "cp", "dirname", "env", "rm")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with script/setup only, and a PATH without Python."""
    (tmp_path / "script").mkdir()
    shutil.copy(BASE_DIR / "script" / "setup", tmp_path / "script" / "setup")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    return tmp_path


def python(machine: Path, script: str) -> None:
    """Put a python3 that runs `script` on the machine's PATH."""
    file = machine / "bin" / "python3"
    file.write_text(f"#!{machine}/bin/bash\n{script}\n")
    file.chmod(0o755)


def run_setup(machine: Path) -> str:
    """Run script/setup, which must fail; return its sentence."""
    done = subprocess.run(
        [machine / "script" / "setup"], env={"PATH": str(machine / "bin")}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("script/setup: ")
    assert done.stderr.count("\n") == 1
    assert not (machine / ".venv").exists()
    return done.stderr


def test_setup_without_python_asks_for_it(machine: Path) -> None:
    assert "needs Python 3.11" in run_setup(machine)


def test_setup_refuses_an_old_python(machine: Path) -> None:
    python(machine, "exit 1")
    assert "needs Python 3.11" in run_setup(machine)


def test_setup_without_venv_names_the_missing_package(machine: Path) -> None:
    python(machine, 'case "$*" in *venv*) echo "ensurepip is not available" >&2; exit 1;; *) exit 0;; esac')
    assert "apt install python3-venv" in run_setup(machine)


def test_setup_shows_the_reason_of_another_failure(machine: Path) -> None:
    python(machine, 'case "$*" in *venv*) echo "No space left on device" >&2; exit 1;; *) exit 0;; esac')
    assert "No space left on device" in run_setup(machine)
