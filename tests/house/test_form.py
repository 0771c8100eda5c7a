"""Rules of style that a program can check (style 1, 2, 5, 6, 7, 16, 17)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.env import BASE_DIR

APPS = ("accounts", "chat", "config", "gateway", "holds", "outbox", "presence", "receipts")
FILES = sorted(
    file
    for app in APPS
    for file in (BASE_DIR / app).rglob("*.py")
    if "migrations" not in file.parts
)  # fmt: skip
BENCH = sorted((BASE_DIR / "bench").rglob("*.py"))
TESTS = sorted((BASE_DIR / "tests").rglob("*.py"))
NOT_NOUNS = {
    "services",
    "service",
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "core",
    "signals",
    "managers",
}
LONGEST = 400
LONGEST_POLL = 0.1
# Daphne imports Twisted, 15 MB: only a process that runs on Daphne may import it.
LATE_IMPORTS = {"config/serve.py"}


def relative_path(file: Path) -> str:
    return str(file.relative_to(BASE_DIR))


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def inside_functions(file: Path) -> Iterator[ast.AST]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in node.body:
                yield from ast.walk(child)


@pytest.mark.parametrize("file", FILES, ids=relative_path)
def test_module_names_are_nouns_of_the_domain(file: Path) -> None:
    assert file.stem not in NOT_NOUNS, "rules live in modules named by what they are about (style 1)"
    assert not NOT_NOUNS & set(file.relative_to(BASE_DIR).parts[:-1])


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.read_text().strip() and file.name != "apps.py"], ids=relative_path
)
def test_modules_have_docstrings(file: Path) -> None:
    assert ast.get_docstring(tree(file)), "add a docstring: what it owns, what it must not know (style 17)"


@pytest.mark.parametrize("file", [*FILES, *BENCH], ids=relative_path)
def test_python_files_have_at_most_400_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST, "split it by noun (style 16)"


@pytest.mark.parametrize("file", FILES, ids=relative_path)
def test_code_does_not_use_sync_to_async(file: Path) -> None:
    found = re.findall(r"\b(sync_to_async|database_sync_to_async)\b", file.read_text())

    assert not found, "use gateway.threads.run: asgiref queues on one thread a process (style 5)"


@pytest.mark.parametrize("file", [file for file in FILES if relative_path(file) not in LATE_IMPORTS], ids=relative_path)
def test_functions_contain_no_imports(file: Path) -> None:
    hidden = [node.lineno for node in inside_functions(file) if isinstance(node, ast.Import | ast.ImportFrom)]

    assert not hidden, "import at the top; if that makes a circle, the ladder is broken (style 7)"


@pytest.mark.parametrize("file", FILES, ids=relative_path)
def test_apps_use_no_signals_and_no_ready_hooks(file: Path) -> None:
    text = file.read_text()

    assert "django.dispatch" not in text and "db.models.signals" not in text, "no signals: config's tables (style 6)"
    assert not re.search(r"def ready\(self", text), "no ready() hooks (style 6)"


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.name == "models.py" or file.parent.name == "models"], ids=relative_path
)
def test_models_contain_no_rules(file: Path) -> None:
    text = file.read_text()

    assert not re.search(r"def (save|delete|clean)\(", text), "rules live in modules named by a noun (style 2)"
    assert not re.search(r"^\s+ordering =", text, re.M), "no Meta.ordering: say the order where you read (style 2)"
    times = re.findall(r"^    (\w+) = models\.DateTimeField", text, re.M)
    assert all(name.endswith(("_at", "_until")) for name in times), "times end in _at (style 2)"


@pytest.mark.parametrize("file", FILES, ids=relative_path)
def test_code_swallows_no_exception_and_contains_no_todo(file: Path) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            silent = all(isinstance(child, ast.Pass | ast.Continue) for child in node.body)
            assert not (broad and silent), (
                f"{relative_path(file)}:{node.lineno}: say it to the log, or name what is expected"
            )
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", file.read_text())


@pytest.mark.parametrize("file", [file for file in TESTS if file.name.startswith("test_")], ids=relative_path)
def test_tests_do_not_sleep(file: Path) -> None:
    slept = [call for call in ast.walk(tree(file)) if isinstance(call, ast.Call) and _sleeps(call)]

    assert not slept, f"line {slept[0].lineno}: wait for the event; poll where there is none"


def _sleeps(call: ast.Call) -> bool:
    """Return whether a call sleeps longer than a poll."""
    named_sleep = isinstance(call.func, ast.Attribute) and call.func.attr == "sleep"
    seconds = call.args[0] if call.args else None
    return named_sleep and isinstance(seconds, ast.Constant) and float(seconds.value) > LONGEST_POLL  # type: ignore[arg-type]
