"""`script/test`: selection of tests, separate run of browser tests, and exit codes."""

import os
import sys
from pathlib import Path

import pytest

from tests import browsers
from tests.run import chooses_browser_tests, combine_exit_codes, run, select_marks


@pytest.mark.parametrize(
    ("chosen", "browser"),
    [
        ([], True),
        (["-q", "-x"], True),
        (["-k", "sign_in"], True),
        (["tests"], True),
        (["tests/browser/test_talking.py::test_two_browsers_talk"], True),
        (["tests/wire"], False),
        (["-q", "tests/house/test_run.py"], False),
    ],
)
def test_browser_is_looked_for_only_if_its_tests_are_chosen(chosen: list[str], browser: bool) -> None:
    assert chooses_browser_tests(chosen) == browser


def test_browser_tests_run_in_a_separate_pytest() -> None:
    assert select_marks(fast=False, browser=True) == ["not browser", "browser"]


def test_other_tests_run_without_a_browser() -> None:
    assert select_marks(fast=False, browser=False) == ["not browser"]


def test_fast_run_excludes_slow_and_browser_tests() -> None:
    assert select_marks(fast=True, browser=True) == ["not slow and not browser"]


@pytest.fixture
def playwright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python whose `-m playwright` runs the script that the test writes here; its cache is empty."""
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "cache"))
    return python


def test_chromium_is_fetched_by_playwright(playwright: Path) -> None:
    chrome = playwright.parent / "cache" / "chromium-1" / "chrome-linux" / "chrome"
    write_program(playwright, f"mkdir -p {chrome.parent}; printf '#!/bin/sh\n' > {chrome}; chmod +x {chrome}")

    assert browsers.fetch() == str(chrome)


def test_failed_fetch_prints_its_reason(playwright: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_program(playwright, "echo 'Downloading'; echo 'Error: getaddrinfo ENOTFOUND cdn' >&2; exit 1")

    assert browsers.fetch() == ""
    assert "could not be fetched: Error: getaddrinfo ENOTFOUND cdn" in capsys.readouterr().out


def write_program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([5, 0], 0), ([0, 5], 0), ([5, 5], 5), ([5, 2], 2), ([5], 5)],
)
def test_exit_code_reports_a_failure_of_either_run(codes: list[int], code: int) -> None:
    assert combine_exit_codes(codes) == code


def test_ctrl_c_returns_the_exit_code_of_pytest() -> None:
    ctrl_c = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(2)"

    assert run([sys.executable, "-c", ctrl_c], dict(os.environ)) == 2
