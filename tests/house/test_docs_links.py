"""Targets of the docs exist: relative links with their headings, and paths and names of the code."""

import re
import subprocess
from pathlib import Path

import pytest

from config.env import BASE_DIR

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A path of the project begins with one of its folders; var/ and .venv/ are generated.
FOLDERS = ("accounts", "bench", "chat", "config", "deploy", "docs", "gateway", "presence", "receipts", "script", "static", "templates", "tests", ".ci")  # fmt: skip
PATH = re.compile(rf"(?:{'|'.join(re.escape(folder) for folder in FOLDERS)})/[\w./-]*")
# Placeholders of recipes.
PLACES = re.compile(r"NNNN|<|…")


def documents() -> list[Path]:
    """Return all Markdown files of the project except vendored ones."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=BASE_DIR, capture_output=True, text=True, check=True)  # fmt: skip
    return [BASE_DIR / name for name in listed.stdout.splitlines() if "vendor" not in name]


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    plain = [re.sub(r"[`*]", "", heading).lower() for heading in HEADING.findall(FENCED.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_relative_links_of_the_docs_resolve(document: Path) -> None:
    broken = []
    for target in LINK.findall(FENCED.sub("", document.read_text())):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)

    assert not broken, f"{document.relative_to(BASE_DIR)}: correct these links"


# Decision records name files as they were at the time.
CURRENT = [document for document in documents() if "decisions" not in document.parts]


@pytest.mark.parametrize("document", CURRENT, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_paths_named_in_the_docs_exist(document: Path) -> None:
    named = [text for text in CODE.findall(FENCED.sub("", document.read_text())) if not PLACES.search(text)]
    paths = {path for text in named if (found := PATH.fullmatch(text.split(":")[0])) for path in [found[0]]}
    missing = sorted(path for path in paths if not (BASE_DIR / path).exists())

    assert not missing, f"{document.relative_to(BASE_DIR)}: name what exists"


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_names_in_modules_named_in_the_docs_exist(document: Path) -> None:
    """`gateway/hub.py: Hub.drain, Topic` names a method and a class of that file."""
    missing = []
    for text in CODE.findall(FENCED.sub("", document.read_text())):
        file, _, names = text.partition(": ")
        if names and PATH.fullmatch(file) and (BASE_DIR / file).is_file() and not PLACES.search(text):
            source = (BASE_DIR / file).read_text()
            missing += [f"{file}: {name}" for name in names.split(", ") if not defines(source, name)]

    assert not missing, f"{document.relative_to(BASE_DIR)}: name what exists"


def defines(source: str, name: str) -> bool:
    last = re.escape(name.rpartition(".")[2])
    return bool(re.search(rf"\b(?:def|class) {last}\b|^{last}\b.* = ", source, re.MULTILINE))


def test_anchors_match_those_of_github() -> None:
    assert anchors("# A connection's life\n\n## `sync.response`\n") == {"a-connections-life", "syncresponse"}
