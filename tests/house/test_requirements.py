"""Numbers cited by code, tests and docs are listed: requirements, style rules, sections of the protocol page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.env import BASE_DIR

FOLDERS = (
    "accounts",
    "chat",
    "config",
    "docs",
    "gateway",
    "holds",
    "outbox",
    "presence",
    "receipts",
    "static",
    "templates",
)
KINDS = {".py", ".sql", ".js", ".html", ".md"}
# Texts with the same form: Unicode code points and an example of an f-string.
CITED = re.compile(r"(?<![\w+\\/#-])([FKU])([1-9][0-9]{0,2})\b")
UNICODE = {"U128", "U64", "U32", "U36"}


def files() -> Iterator[Path]:
    for folder in (*FOLDERS, "tests"):
        for file in sorted((BASE_DIR / folder).rglob("*")):
            if file.suffix in KINDS and not {"vendor", "decisions"} & set(file.parts):
                yield file
    yield from sorted(BASE_DIR.glob("*.md"))


TEXTS = {str(file.relative_to(BASE_DIR)): file.read_text() for file in files()}
REQUIREMENTS = (BASE_DIR / "docs" / "requirements.md").read_text()
ROWS = set(re.findall(r"^\| ([FKU][0-9]+) \|", REQUIREMENTS, re.M))


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "docs/requirements.md"])
def test_cited_requirements_are_listed(name: str) -> None:
    cited = {letter + number for letter, number in CITED.findall(TEXTS[name])} - UNICODE

    assert cited <= ROWS, f"add a row to docs/requirements.md for {sorted(cited - ROWS)}"


def test_cited_style_rules_are_listed() -> None:
    rules = set(re.findall(r"^([0-9]+)\. ", (BASE_DIR / "docs" / "style.md").read_text(), re.M))
    cited = {
        number
        for text in TEXTS.values()
        for numbers in re.findall(r"\(style ([0-9, ]+)\)", text)
        for number in re.findall(r"[0-9]+", numbers)
    }

    assert cited, "nothing cites a rule: does this test still read the files?"
    assert cited <= rules, f"docs/style.md has no rule {sorted(cited - rules)}"


def test_cited_protocol_sections_are_listed() -> None:
    listed = set(re.findall(r"^\| ([0-9](?:\.[0-9])?) \| ", (BASE_DIR / "docs" / "protocol.md").read_text(), re.M))
    cited = {
        number
        for name, text in TEXTS.items()
        if name.endswith((".py", ".sql", ".js"))
        for numbers in re.findall(r"\bprotocol ([0-9](?:\.[0-9])?(?:, [0-9](?:\.[0-9])?)*)", text)
        for number in numbers.split(", ")
    }

    assert cited, "nothing cites the protocol: does this test still read the files?"
    assert cited <= listed, f"docs/protocol.md lists no section {sorted(cited - listed)}"
