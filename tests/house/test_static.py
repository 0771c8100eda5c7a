"""The web app's files: imports between layers, the list of preloaded modules, tokens in styles."""

import re
from pathlib import Path

import pytest

from config.env import BASE_DIR

STATIC = BASE_DIR / "static"
# From the lowest up.
LAYERS = ("kit", "net", "state", "views", "app")
MODULES = sorted(file for layer in LAYERS for file in (STATIC / layer).rglob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))
PAGES = sorted((BASE_DIR / "templates").rglob("*.html"))
IMPORT = re.compile(r"""(?:from|import\()\s*["']([^"']+)["']""")
# Entry points, which pages name themselves.
ENTRIES = {"app/main.js", "app/settings.js"}
SPACED = re.compile(r"(?<![\w-])(?:padding|margin|gap|row-gap|column-gap)(?:-[a-z-]+)?:\s*([^;}]+)")
LONGEST, WIDEST = 400, 120


def relative_path(file: Path) -> str:
    return str(file.relative_to(BASE_DIR))


def imported(file: Path) -> list[Path]:
    return [(file.parent / target).resolve() for target in IMPORT.findall(file.read_text())]


def layer_of(file: Path) -> str:
    return file.relative_to(STATIC).parts[0]


def test_scripts_are_in_a_layer() -> None:
    strays = [relative_path(file) for file in STATIC.rglob("*.js") if layer_of(file) not in (*LAYERS, "vendor")]

    assert not strays, f"put it into one of {LAYERS}"


@pytest.mark.parametrize("file", MODULES, ids=relative_path)
def test_scripts_import_only_from_their_own_or_lower_layers(file: Path) -> None:
    height = LAYERS.index(layer_of(file))
    targets = [target for target in imported(file) if layer_of(target) != "vendor"]

    assert all(target.exists() for target in targets)
    above = [relative_path(target) for target in targets if LAYERS.index(layer_of(target)) > height]
    assert not above, "imports go down only: app, views, state, net, kit"


def test_scripts_have_no_import_cycle() -> None:
    waiting = {file: {target for target in imported(file) if target in MODULES} for file in MODULES}
    while free := [file for file, targets in waiting.items() if not targets & waiting.keys()]:
        for file in free:
            del waiting[file]

    assert not waiting, f"a circle: {sorted(map(relative_path, waiting))}"


def test_page_preloads_every_script() -> None:
    listed = re.findall(r"static '([^']+\.js)'", (BASE_DIR / "templates" / "chat" / "modules.html").read_text())
    modules = {str(file.relative_to(STATIC)) for file in [*MODULES, *(STATIC / "vendor").glob("*.js")]}

    assert sorted(listed) == sorted(modules - ENTRIES), "templates/chat/modules.html names each module once"


@pytest.mark.parametrize("file", [*MODULES, *STYLES, *PAGES], ids=relative_path)
def test_web_files_have_at_most_400_lines_of_120_columns(file: Path) -> None:
    lines = file.read_text().splitlines()

    assert len(lines) <= LONGEST, "split it by noun (style 16)"
    wide = [number for number, line in enumerate(lines, 1) if len(line) > WIDEST]
    assert not wide, f"break lines {wide}: at most {WIDEST} characters"


@pytest.mark.parametrize("file", [file for file in STYLES if file.name != "tokens.css"], ids=relative_path)
def test_styles_use_tokens(file: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)
    radii = [
        value
        for value in re.findall(r"border(?:-[a-z]+)*-radius:\s*([^;}]+)", text)
        if re.search(r"\d(rem|px|%)", value)
    ]
    spacings = [
        value for value in SPACED.findall(text) if "(" not in re.sub(r"var\([^)]*\)", "", value)
        and re.search(r"(?<![\w.-])(0\.[1-9]\d*|[1-3](\.\d+)?)rem", value)
    ]  # fmt: skip
    colours = re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|rgba?\([^)]*\)", text)

    assert not (radii or spacings or colours), f"{radii} {spacings} {colours}: take or add a token"


EMITTER = re.compile(r"class (\w+) extends Emitter \{\s*static events =\s*\"([\w ]+)\";")
EMITTERS = [(file, *found) for file in MODULES for found in EMITTER.findall(file.read_text())]


@pytest.mark.parametrize(("file", "name", "events"), EMITTERS, ids=[name for _, name, _ in EMITTERS])
def test_declared_events_are_emitted_and_have_a_listener(file: Path, name: str, events: str) -> None:
    emitted = set(re.findall(r"this\.emit\(\s*\"(\w+)\"", file.read_text()))
    heard = {event for module in MODULES for event in re.findall(r"\.on\(\s*\"(\w+)\"", module.read_text())}

    assert set(events.split()) <= heard
    assert emitted == set(events.split()) or (emitted < set(events.split()) and "this.emit(action" in file.read_text())


def test_every_emitter_declares_its_events() -> None:
    assert sum(file.read_text().count(" extends Emitter {") for file in MODULES) == len(EMITTERS) > 10
