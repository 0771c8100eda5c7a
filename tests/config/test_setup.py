"""`script/setup` on a machine with missing parts: one sentence that names the part and what to do."""

import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from config.env import BASE_DIR
from tests.servers import free_port

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


# --- packages that cannot be installed --------------------------------------------------------------------------------

BROKEN_BACKEND = """
def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    import os
    os.mkdir(f"{folder}/broken-1.0.dist-info")
    with open(f"{folder}/broken-1.0.dist-info/METADATA", "w") as out:
        out.write("Metadata-Version: 2.1\\nName: broken\\nVersion: 1.0\\n")
    return "broken-1.0.dist-info"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise RuntimeError("no C compiler")
"""


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index with one package, which has no wheel and cannot be built."""
    root = tmp_path_factory.mktemp("index")
    source = root / "broken-1.0"
    source.mkdir()
    (source / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n')
    (source / "b.py").write_text(BROKEN_BACKEND)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    page = root / "simple" / "broken"
    page.mkdir(parents=True)
    with tarfile.open(page / "broken-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "broken-1.0")
    (page / "index.html").write_text('<a href="broken-1.0.tar.gz">broken-1.0.tar.gz</a>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def fail_to_install(machine: Path, requirement: str, index: str) -> str:
    """Run script/setup with one requirement and an index, with this Python; return its sentence."""
    (machine / "requirements.txt").write_text(requirement)
    environ = {**os.environ, "PYTHON": sys.executable, "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        environ.pop(name, None)
    environ |= {"PIP_RETRIES": "1", "PIP_TIMEOUT": "5"}
    done = subprocess.run([machine / "script" / "setup"], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    installing, sentence = done.stderr.splitlines()
    assert installing == "Installing requirements.txt ..."
    assert (machine / ".venv" / "pip.log").exists()
    return sentence


@pytest.mark.slow
def test_setup_tells_an_unreachable_index(machine: Path) -> None:
    sentence = fail_to_install(machine, "broken==1.0\n", f"http://127.0.0.1:{free_port()}/simple")
    assert "the package index does not answer" in sentence


@pytest.mark.slow
def test_setup_names_a_package_without_wheel_that_cannot_be_built(machine: Path, index: str) -> None:
    sentence = fail_to_install(machine, "broken==1.0\n", index)
    assert "broken has no wheel for Python" in sentence
    assert "C compiler" in sentence


@pytest.mark.slow
def test_setup_names_a_version_that_the_index_lacks(machine: Path, index: str) -> None:
    sentence = fail_to_install(machine, "broken==2.0\n", index)
    assert "has no broken==2.0" in sentence
