"""The tables in the docs are those of the code."""

import pytest

from config.env import BASE_DIR
from config.tables import TABLES, renewed


@pytest.mark.parametrize("file", TABLES)
def test_the_tables_of_a_document_are_as_new(file: str) -> None:
    text = (BASE_DIR / file).read_text()

    assert text == renewed(text, file), f"run `.venv/bin/python -m config.tables` and commit {file}"


def test_a_document_without_its_markers_is_noticed() -> None:
    with pytest.raises(ValueError, match="limits"):
        renewed("no table here", "docs/protocol.md")


def test_a_changed_default_makes_a_table_old() -> None:
    text = (BASE_DIR / "docs" / "operations.md").read_text()

    assert (
        renewed(text.replace("| `PARLEY_PORT` | `8000` |", "| `PARLEY_PORT` | `9000` |"), "docs/operations.md") == text
    )
