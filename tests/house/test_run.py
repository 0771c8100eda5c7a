"""`script/test`: selection of tests, separate run of browser tests, and exit codes."""

import os
import sys

import pytest

from tests.run import combine_exit_codes, run, select_marks

BOTH = ["not browser", "browser"]


@pytest.mark.parametrize(
    ("chosen", "runs"),
    [
        ([], BOTH),
        (["-q", "-x"], BOTH),
        (["-k", "sign_in"], BOTH),
        (["tests"], BOTH),
        (["tests/browser/test_talking.py::test_two_browsers_talk"], BOTH),
        (["tests/wire"], ["not browser"]),
        (["-q", "tests/house/test_run.py"], ["not browser"]),
    ],
)
def test_browser_tests_run_in_a_separate_pytest(chosen: list[str], runs: list[str]) -> None:
    assert select_marks(chosen, fast=False, browser=True) == runs


def test_other_tests_run_without_a_browser() -> None:
    assert select_marks([], fast=False, browser=False) == ["not browser"]


def test_fast_run_excludes_slow_and_browser_tests() -> None:
    assert select_marks([], fast=True, browser=True) == ["not slow and not browser"]


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([5, 0], 0), ([0, 5], 0), ([5, 5], 5), ([5, 2], 2), ([5], 5)],
)
def test_exit_code_reports_a_failure_of_either_run(codes: list[int], code: int) -> None:
    assert combine_exit_codes(codes) == code


def test_ctrl_c_returns_the_exit_code_of_pytest() -> None:
    ctrl_c = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(2)"

    assert run([sys.executable, "-c", ctrl_c], dict(os.environ)) == 2
