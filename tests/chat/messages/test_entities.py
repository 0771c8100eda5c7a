"""Formatting: the shared fixture, what holds for every text, and the cost of hostile ones."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.messages.entities import Entity, mentions_everyone, parse

FIXTURE: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "fixtures" / "entities.json").read_text())
NAMES = ["Ada", "Ada Lovelace", "a_b", "😀", "*x*", "`y`"]
PIECES = [
    *"*_~`:@ \n\ra1>-•",
    "**",
    "~~",
    "```\n",
    "> ",
    "- ",
    "2. ",
    "https://a.b",
    ")",
    "😀",
    "@all",
    "@Ada",
    ":tada:",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join)
MOST = 10_000
HOSTILE = {
    "openers": "*a ",
    "crossing marks": "*_~a ",
    "single backticks": "` a",
    "growing runs of backticks": "".join("`" * (1 + n % 5) + " " for n in range(500)),
    "fences that never close": "```js\n",
    "fences": "```\n",
    "addresses": "https://a.b",
    "addresses within words": "xhttps://",
    "brackets after an address": "https://a.b" + ")" * 400,
    "names that nearly match": "@" + "a" * 99,
    "emoji that do not end": ":aaaaaaaa",
    "lists": "- *a\n",
    "mentions": "@all",
}


@pytest.mark.parametrize("case", FIXTURE, ids=lambda case: case["title"])
def test_parser_matches_the_shared_fixture(case: dict[str, Any]) -> None:
    assert parse(case["text"], case.get("names", [])) == case["entities"]


@given(TEXTS)
def test_entities_are_within_the_text_and_nested(text: str) -> None:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    around: list[Entity] = []
    for entity in parse(text, NAMES):
        assert entity["offset"] >= 0 and entity["length"] > 0
        assert end(entity) <= units
        assert entity["open"] + entity["close"] <= entity["length"]
        while around and end(around[-1]) <= entity["offset"]:
            around.pop()
        if around:
            assert end(entity) <= end(around[-1]) - around[-1]["close"]
            assert entity["offset"] >= around[-1]["offset"] + around[-1]["open"]
            assert around[-1]["type"] in ("bold", "italic", "strike", "quote", "list")
        around.append(entity)


@given(TEXTS, st.sampled_from(["bold", "italic", "strike", "code", "codeBlock", "mention", "emoji"]))
def test_entity_range_covers_its_text(text: str, type_: str) -> None:
    for entity in parse(text, NAMES):
        if entity["type"] == type_ == "mention":
            assert piece(text, entity).lower() == f"@{entity['name']}".lower()
        elif entity["type"] == type_ == "emoji":
            assert piece(text, entity).lower() == f":{entity['name']}:"
        elif entity["type"] == type_ == "codeBlock":
            assert piece(text, entity).startswith("```")
        elif entity["type"] == type_:
            assert piece(text, entity)[: entity["open"]] == piece(text, entity)[-entity["close"] :]


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_parsing_cost_is_linear_in_hostile_text(hostile: str) -> None:
    short, long = (looks((hostile * MOST)[:size]) for size in (MOST // 4, MOST))
    assert long <= 4.5 * short + 50


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_looking_for_everybody_costs_as_much_as_the_text_is_long(hostile: str) -> None:
    texts = [(hostile.replace("@all", "x@all") * MOST)[: size - 5] + "x@all" for size in (MOST // 4, MOST)]
    short, long = (looks(text, mentions_everyone) for text in texts)
    assert long <= 4.5 * short + 50


@given(TEXTS)
def test_everybody_is_mentioned_where_an_entity_says_so(text: str) -> None:
    assert mentions_everyone(text) == any(entity.get("everyone") for entity in parse(text))


def looks(text: str, read: Callable[[str], object] = lambda text: parse(text, ["a" * 100])) -> int:
    """Count the lines of code that reading a text runs."""

    count = 0

    def traced(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename.endswith("entities.py"):
            count += event == "line"
            return traced
        return None

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        read(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("text", ["@all", "hi @Here!", "> @all", "*@all*", "- @here", "```\n@all"])
def test_text_with_everyone_mention_is_recognized(text: str) -> None:
    assert mentions_everyone(text)


@pytest.mark.parametrize("text", ["", "all", "`@all`", "```\n@all\n```", "a@all.example", "@allen", "``@here``"])
def test_text_without_everyone_mention_is_recognized(text: str) -> None:
    assert not mentions_everyone(text)


def end(entity: Entity) -> int:
    return entity["offset"] + entity["length"]


def piece(text: str, entity: Entity) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * entity["offset"] : 2 * end(entity)].decode("utf-16-le", "surrogatepass")
