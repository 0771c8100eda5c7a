"""`script/check --platforms`: which pinned package has no wheel for which of the platforms that Parley promises.

Without a wheel `pip` builds a package, which takes a C compiler. The platforms are CPython 3.11 to 3.14 on Linux for
x86_64 and ARM (glibc 2.28, that of Debian 10 and RHEL 8) and on macOS 15 for ARM.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from config.env import BASE_DIR

FILES = ("requirements.txt", "requirements-dev.txt")
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
GLIBC = 28
SIMPLE = "application/vnd.pypi.simple.v1+json"
TIMEOUT = 20.0


class Platform(NamedTuple):
    """A version of CPython on a kind of machine: what `pip` accepts there, and the variables of markers."""

    name: str
    tags: frozenset[Tag]
    environment: dict[str, str]


def platforms() -> Iterator[Platform]:
    """Yield the twelve platforms."""
    machines = {
        "Linux x86_64": (_linux("x86_64"), "linux", "Linux", "x86_64"),
        "Linux aarch64": (_linux("aarch64"), "linux", "Linux", "aarch64"),
        "macOS arm64": (list(mac_platforms((15, 0), "arm64")), "darwin", "Darwin", "arm64"),
    }
    for machine, (names, sys_platform, system, processor) in machines.items():
        for python in PYTHONS:
            version = ".".join(map(str, python))
            interpreter = "cp" + "".join(map(str, python))
            tags = {*cpython_tags(python, platforms=names), *compatible_tags(python, interpreter, names)}
            environment = {
                "python_version": version, "python_full_version": f"{version}.9", "sys_platform": sys_platform,
                "platform_system": system, "platform_machine": processor,
            }  # fmt: skip
            yield Platform(f"Python {version}, {machine}", frozenset(tags), environment)


def _linux(machine: str) -> list[str]:
    older = [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    return [*(f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)), *older]


def pins(file: Path) -> list[Requirement]:
    """Return the requirements of a file, without those of files that it includes."""
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def wheels(pin: Requirement, index: str) -> list[frozenset[Tag]]:
    """Return the tags of each wheel of the pinned version. Raises URLError if the index does not answer."""
    request = urllib.request.Request(f"{index.rstrip('/')}/{canonicalize_name(pin.name)}/", headers={"Accept": SIMPLE})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        listed = json.load(answer)["files"]
    found = []
    for name in (file["filename"] for file in listed if file["filename"].endswith(".whl")):
        try:
            _, version, _, tags = parse_wheel_filename(name)
        except InvalidWheelFilename:
            continue
        if pin.specifier.contains(version, prereleases=True):
            found.append(tags)
    return found


def missing(pin: Requirement, offered: list[frozenset[Tag]]) -> list[str]:
    """Return the names of the platforms that need a pin and have no wheel for it."""
    return [
        each.name
        for each in platforms()
        if (pin.marker is None or pin.marker.evaluate(each.environment))
        and not any(tags & each.tags for tags in offered)
    ]


def index_url() -> str:
    """Return the index that pip uses."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return configured or "https://pypi.org/simple"


def main() -> int:
    """Print each pin without a wheel. Return 1 if there is one, 2 if the index does not answer."""
    index = index_url()
    wanted = [pin for file in FILES for pin in pins(BASE_DIR / file)]
    try:
        with ThreadPoolExecutor(8) as pool:
            offers = list(pool.map(lambda pin: wheels(pin, index), wanted))
    except (URLError, TimeoutError) as fault:
        print(f"The package index {index} does not answer ({fault}): nothing is known of the wheels.")
        return 2
    lacking = {str(pin): missing(pin, offer) for pin, offer in zip(wanted, offers, strict=True)}
    for pin, names in lacking.items():
        if names:
            print(f"{pin} has no wheel for {'; '.join(names)}")
    print(
        f"{len(wanted)} pins, {sum(map(bool, lacking.values()))} without a wheel for one of {len(list(platforms()))}."
    )
    return 1 if any(lacking.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
