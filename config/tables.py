"""`python -m config.tables`: rewrites the generated tables of docs/ from the tables of the code.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. tests/house/test_docs_tables.py checks them.
"""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from config.env import BASE_DIR, TABLE
from config.limits import Limits


def environment() -> Iterator[str]:
    """Yield the rows of the environment variables of `config/env.py`."""
    yield from ("| variable | default | meaning |", "| --- | --- | --- |")
    for variable in TABLE:
        default = "var/" if variable.name == "PARLEY_VAR" else variable.default
        yield f"| `{variable.name}` | {f'`{default}`' if default else ''} | {variable.meaning} |"


def limits() -> Iterator[str]:
    """Yield the rows of the limits of `config/limits.py` with default and bounds; active values may differ."""
    yield from ("| limit | default | bounds | what it is | source |", "| --- | --- | --- | --- | --- |")
    for entry in fields(Limits):
        about = entry.metadata
        bounds = f"{about['low']:,} to {about['high']:,.0f}"
        yield f"| `{entry.name}` | {entry.default:,} | {bounds} | {about['meaning']} | {about['source']} |"


TABLES = {"docs/operations.md": {"environment": environment}, "docs/protocol.md": {"limits": limits}}


def replace_tables(text: str, file: str) -> str:
    """Return a document of `TABLES` with current tables. Raises ValueError if a marker is missing."""
    for name, rows in TABLES[file].items():
        before, begin, rest = text.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"{file} has no place for the table {name}: mark it as config/tables.py says")
        text = before + begin + "".join(f"{row}\n" for row in rows()) + end + after
    return text


def main() -> None:
    for file in TABLES:
        path: Path = BASE_DIR / file
        text = path.read_text()
        if (new := replace_tables(text, file)) != text:
            path.write_text(new)
            print(f"{file}: renewed")


if __name__ == "__main__":
    main()
