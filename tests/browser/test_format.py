"""Formatting in the browser: the same fixture as the server's, and what is drawn of it."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browser.person import NewPage
from tests.servers import Server

FIXTURE: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "fixtures" / "entities.json").read_text())
PARSED = """async (cases) => {
  const { parse } = await import("/static/kit/format.js");
  return cases.map(({ text, names }) => parse(text, names));
}"""
DRAWN = """async (cases) => {
  const { nodes } = await import("/static/kit/format.js");
  return cases.map(({ text, names }) => {
    const around = document.createElement("div");
    around.append(nodes(text, { mentions: names, mine: "Ada" }));
    const elements = [...around.querySelectorAll("*")];
    return { text: around.textContent, names: [...new Set(elements.map((node) => node.localName))],
      addresses: elements.filter((node) => node.href).map((node) => node.protocol),
      attributes: [...new Set(elements.flatMap((node) => node.getAttributeNames()))],
      shape: elements.map((node) => `${node.localName}:${node.textContent}`) };
  });
}"""
ELEMENTS = {"strong", "em", "s", "code", "pre", "blockquote", "p", "ul", "ol", "li", "a", "span"}
ATTRIBUTES = {"class", "href", "target", "rel", "title", "data-language", "start"}


def blank(server: Server, new_page: NewPage) -> Page:
    page = new_page()
    page.goto(f"{server.url}/accounts/login/")
    return page


def test_page_parses_formatting_like_the_server(server: Server, new_page: NewPage) -> None:
    found = blank(server, new_page).evaluate(PARSED, FIXTURE)
    for case, entities in zip(FIXTURE, found, strict=True):
        assert entities == case["entities"], case["title"]


def test_formatting_renders_only_known_elements_and_web_links(server: Server, new_page: NewPage) -> None:
    for case, drawn in zip(FIXTURE, blank(server, new_page).evaluate(DRAWN, FIXTURE), strict=True):
        assert set(drawn["names"]) <= ELEMENTS, case["title"]
        assert set(drawn["attributes"]) <= ATTRIBUTES, case["title"]
        assert set(drawn["addresses"]) <= {"http:", "https:", "mailto:"}, case["title"]
        if not case["entities"]:
            assert drawn["text"] == case["text"]


def test_formatting_marks_are_hidden_and_list_lines_are_joined(server: Server, new_page: NewPage) -> None:
    page = blank(server, new_page)

    def shape(text: str, *names: str) -> Any:
        return page.evaluate(DRAWN, [{"text": text, "names": names}])[0]["shape"]

    assert shape("*bold _both_*") == ["strong:bold both", "em:both"]
    assert shape("> one\n> two\nthree") == ["blockquote:onetwo", "p:one", "p:two"]
    assert shape("- a\n- b\n1. c") == ["ul:ab", "li:a", "li:b", "ol:c", "li:c"]
    assert shape("```py\nx = 1\n```") == ["pre:x = 1"]
    assert shape(":tada: :nobody:") == ["span:🎉", "span::nobody:"]
    assert shape(":constructor:") == ["span::constructor:"]
    assert shape("@Ada @Bob", "Ada") == ["span:@Ada"]
