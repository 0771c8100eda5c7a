"""The generated tables in the docs match the code."""

import pytest

from config.env import BASE_DIR
from config.tables import TABLES, replace_tables


@pytest.mark.parametrize("file", TABLES)
def test_generated_tables_of_the_docs_are_current(file: str) -> None:
    text = (BASE_DIR / file).read_text()

    assert text == replace_tables(text, file), f"run `.venv/bin/python -m config.tables` and commit {file}"


def test_document_without_table_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="limits"):
        replace_tables("no table here", "docs/protocol.md")


def test_changed_default_is_corrected_in_its_table() -> None:
    text = (BASE_DIR / "docs" / "operations.md").read_text()

    assert (
        replace_tables(text.replace("| `PARLEY_PORT` | `8000` |", "| `PARLEY_PORT` | `9000` |"), "docs/operations.md")
        == text
    )
