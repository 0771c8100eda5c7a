"""docs/contract.md maps requirements to tests: the tests exist, and no core requirement is missing."""

import re
from dataclasses import fields
from functools import cache

import pytest

from config.env import BASE_DIR
from config.limits import Limits

CONTRACT = (BASE_DIR / "docs" / "contract.md").read_text()
NAMES = sorted(set(re.findall(r"tests/[\w/]+\.py::test_\w+", CONTRACT)))
ROWS = re.findall(r"^\| F(\d+) \| ([^|]+) \| ([^|]+) \|$", CONTRACT, re.M)
NUMBERS = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", CONTRACT, re.M))
# Sections A to F, I to K and S of the requirements; F83 and F374 only ask for documentation.
CORE = {*range(1, 158), *range(201, 237), *range(352, 376)} - {83, 374}
INSTEAD_OF_A_TEST = ("later issue", "nothing to prove")


@cache
def find_tests(file: str) -> frozenset[str]:
    path = BASE_DIR / file
    return (
        frozenset(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M)) if path.exists() else frozenset()
    )


@pytest.mark.parametrize("name", NAMES)
def test_tests_named_in_the_contract_exist(name: str) -> None:
    file, _, test = name.partition("::")

    assert test in find_tests(file), "docs/contract.md: name the test that proves the item now"


def test_every_core_requirement_has_a_contract_row() -> None:
    items = [int(item) for item, _, _ in ROWS]

    assert CORE - set(items) == set(), "add a row to docs/contract.md"
    assert len(items) == len(set(items)), "an item has two rows in docs/contract.md"


@pytest.mark.parametrize(("item", "proof"), [(item, proof) for item, _, proof in ROWS])
def test_contract_rows_name_a_test_or_a_later_issue(item: str, proof: str) -> None:
    proved = "::test_" in proof or any(words in proof for words in INSTEAD_OF_A_TEST)

    assert proved, f"F{item} in docs/contract.md: name a test, or say `later issue`"


@pytest.mark.parametrize("name", [entry.name for entry in fields(Limits)])
def test_every_limit_has_a_test(name: str) -> None:
    assert "::test_" in NUMBERS.get(name, ""), f"docs/contract.md, The numbers: name the test that proves {name}"
