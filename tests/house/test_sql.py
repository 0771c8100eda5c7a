"""SQL obeys the ladder: it reads tables and functions of its own app or of apps below, and writes only its own tables.

The import linter does not see SQL. These tests find the names in strings of product code and in migrations.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.apps import apps

from config.env import BASE_DIR

# From the lowest up; apps on one floor do not import each other.
FLOORS = (("gateway",), ("outbox", "holds"), ("accounts",), ("chat",), ("receipts", "presence"))
APPS = [app for floor in FLOORS for app in floor]
FLOOR = {app: height for height, floor in enumerate(FLOORS) for app in floor}
WRITE = r"(?:UPDATE|INSERT\s+INTO|DELETE\s+FROM|TRUNCATE|LOCK\s+TABLE|TRIGGER\s+\w+[^;]*?\s+ON)\s+(?:ONLY\s+)?"

# (file, name): why this statement reads from above.
READS_ABOVE = {
    (
        "chat/read_state.py",
        "shown_read_seq",
    ): "of the few people with a strict device receipts knows what the others showed",
}
# (file, table): why another app's rows are written here.
WRITES_ELSEWHERE = {
    ("chat/migrations/0006_frozen.sql", "accounts_block"): "a trigger freezes the blocker's marks when a block is made",
    (
        "receipts/marks.py",
        "chat_member",
    ): "marks are columns of the member's row, so that a list reads one row a member",
    ("presence/last_seen.py", "accounts_device"): "a device's last sign of life is kept by the app that sees it",
    (
        "chat/migrations/0003_ingest.sql",
        "chat_outbox",
    ): "the event of a stored message, in the same statement as its row",
    ("receipts/partitions.py", "receipts_hold"): "a sweep waits for a hold that is being set, and for another sweep",
}


class Use(NamedTuple):
    """A table or function that a file's SQL names."""

    file: str
    app: str
    name: str
    owner: str
    writes: bool


def _functions() -> dict[str, str]:
    """Return the owner of each SQL function: the app whose migration creates it."""
    return {
        name: app
        for app in APPS
        for file in (BASE_DIR / app).rglob("*.sql")
        for name in re.findall(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)", file.read_text())
    }


TABLES = {model._meta.db_table: model._meta.app_label for model in apps.get_models() if model._meta.app_label in FLOOR}
FUNCTIONS = _functions()
OWNERS = {**TABLES, **FUNCTIONS}
NAME = re.compile(rf"\b({'|'.join(sorted(OWNERS, key=len, reverse=True))})\b")


def _strings(file: Path) -> Iterator[str]:
    """Yield the file's SQL: a migration's without its comments, a module's strings without docstrings."""
    if file.suffix == ".sql":
        yield re.sub(r"--.*", "", file.read_text())
        return
    tree = ast.parse(file.read_text())
    holders = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(node.body[0].value) for node in holders if node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _uses() -> Iterator[Use]:
    for app in APPS:
        for file in sorted((BASE_DIR / app).rglob("*")):
            generated = file.parent.name == "migrations" and file.suffix == ".py"
            if file.suffix not in (".py", ".sql") or generated:
                continue
            for text in _strings(file):
                for match in NAME.finditer(text):
                    writes = re.search(WRITE + rf"{match[0]}\b", text, re.I) is not None
                    yield Use(str(file.relative_to(BASE_DIR)), app, match[0], OWNERS[match[0]], writes)


USES = sorted(set(_uses()))


def _above(use: Use) -> bool:
    return use.app != use.owner and FLOOR[use.owner] >= FLOOR[use.app]


@pytest.mark.parametrize("use", [use for use in USES if use.app != use.owner], ids=lambda use: f"{use.file}-{use.name}")
def test_sql_names_only_tables_and_functions_of_apps_below(use: Use) -> None:
    listed = (use.file, use.name) in READS_ABOVE
    assert not _above(use) or listed, f"{use.owner} stands above {use.app}: move the rule, or list it with its reason"


@pytest.mark.parametrize("use", [use for use in USES if use.writes], ids=lambda use: f"{use.file}-{use.name}")
def test_sql_writes_only_tables_of_its_own_app(use: Use) -> None:
    listed = (use.file, use.name) in WRITES_ELSEWHERE
    assert use.app == use.owner or listed, f"{use.owner} owns {use.name}: call its rule, or list it with its reason"


def test_listed_sql_exceptions_are_still_needed() -> None:
    above = {(use.file, use.name) for use in USES if _above(use)}
    elsewhere = {(use.file, use.name) for use in USES if use.writes and use.app != use.owner}

    assert above == READS_ABOVE.keys(), "take an exception away with the statement that needed it"
    assert elsewhere == WRITES_ELSEWHERE.keys(), "take an exception away with the statement that needed it"


def test_sql_reader_finds_known_statements() -> None:
    """Otherwise the tests above would pass without reading any SQL."""
    found = {(use.name, use.writes) for use in USES}

    assert {("chat_message", True), ("chat_member", True), ("accounts_block", False), ("chat_ingest", False)} <= found
    assert len({use.file for use in USES if use.app == "receipts"}) > 3
