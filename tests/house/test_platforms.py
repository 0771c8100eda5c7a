"""`script/check --platforms` tells a pin without a wheel from one with it, without asking the package index."""

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from tests.platforms import missing, platforms

ANYWHERE = "pkg-1.0-py3-none-any.whl"
LINUX_311 = "pkg-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
STABLE_ABI = "pkg-1.0-cp311-abi3-macosx_11_0_arm64.whl"
TOO_NEW = "pkg-1.0-cp313-cp313-manylinux_2_35_aarch64.whl"


def lacking(*wheels: str, pin: str = "pkg==1.0") -> list[str]:
    return missing(Requirement(pin), [parse_wheel_filename(wheel)[3] for wheel in wheels])


def test_there_are_twelve_platforms() -> None:
    assert len({platform.name for platform in platforms()}) == 12


def test_pure_package_lacks_nothing_and_source_package_everything() -> None:
    assert lacking(ANYWHERE) == []
    assert len(lacking()) == 12


@pytest.mark.parametrize(
    ("wheel", "has"),
    [(LINUX_311, {"Python 3.11, Linux x86_64"}), (STABLE_ABI, {f"Python 3.{n}, macOS arm64" for n in range(11, 15)})],
)
def test_wheel_serves_its_own_platforms_only(wheel: str, has: set[str]) -> None:
    assert {platform.name for platform in platforms()} - set(lacking(wheel)) == has


def test_wheel_for_a_newer_libc_does_not_count() -> None:
    assert "Python 3.13, Linux aarch64" in lacking(TOO_NEW)


def test_marker_excludes_platforms_that_do_not_need_the_pin() -> None:
    assert lacking(pin='pkg==1.0; sys_platform == "linux" and python_version < "3.12"') == [
        "Python 3.11, Linux x86_64",
        "Python 3.11, Linux aarch64",
    ]
