"""One Chromium for the session, a context a person, and a watch on what pages must never do: break the CSP, or throw."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.accounts import someone
from tests.browser.modules import SET_UP, Run
from tests.browser.mortal import Mortal
from tests.browser.person import NewPage, NewPerson, Person
from tests.servers import Server

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WATCH = "document.addEventListener('securitypolicyviolation', (e) => reportViolation(`${e.violatedDirective} ${e.blockedURI}`))"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser that PARLEY_CHROMIUM names."""
    path = os.environ.get("PARLEY_CHROMIUM")
    if not path:
        pytest.skip("PARLEY_CHROMIUM names no browser")
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def faults() -> Iterator[list[str]]:
    """What pages did that they must not; a test that expects one takes it out."""
    seen: list[str] = []
    yield seen
    assert seen == []


@pytest.fixture
def new_page(chromium: Browser, faults: list[str]) -> Iterator[NewPage]:
    """Open a window of its own: `new_page(width=…, height=…, color_scheme=…)`."""
    contexts: list[BrowserContext] = []

    def make(*, width: int = 1280, height: int = 800, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options)
        contexts.append(context)
        context.expose_binding("reportViolation", lambda source, text: faults.append(f"CSP: {text}"))
        context.add_init_script(WATCH)
        context.on("weberror", lambda error: faults.append(f"uncaught: {error.error}"))
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def person(server: Server, new_page: NewPage) -> NewPerson:
    """Make a person, on the shared server or at another address: `person("Ada", width=320)`."""

    def make(name: str, *, base: str = server.url, **window: Any) -> Person:
        return Person(someone(base, name), new_page, **window)

    return make


@pytest.fixture
def mortal(open_database: None) -> Iterator[Mortal]:
    """A server of one's own, to be killed."""
    running = Mortal()
    yield running
    running.kill()


@pytest.fixture
def run(server: Server, new_page: NewPage) -> Run:
    """Run the body of an async function with a store of one conversation, and return what it returns."""
    page = new_page()
    page.goto(f"{server.url}/accounts/login/")
    return lambda body: page.evaluate(f"async () => {{ {SET_UP} {body} }}")
