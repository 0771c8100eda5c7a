"""A person at a browser: what they do, and where on the page they look."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.conf import settings
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.accounts import Account, session_of

NewPage = Callable[..., Page]
CONNECTED = 'html[data-connection="open"]'


class Wire:
    """What lies between a page and its server: it can be cut, and can swallow or change frames."""

    def __init__(self) -> None:
        self.cut = False
        self.swallowed: set[str] = set()
        self.refused = 0
        self.sent: list[str] = []
        self.edit: Callable[[str], str] = str
        self._lost: Counter[tuple[str, str]] = Counter()
        self._sockets: list[WebSocketRoute] = []

    def take(self, socket: WebSocketRoute) -> None:
        """Carry a new socket of the page, or refuse it."""
        if self.cut:
            self.refused += 1
            socket.close(code=1013)
            return
        server = socket.connect_to_server()
        self._sockets.append(socket)

        def up(frame: str | bytes) -> None:
            self.sent.append(type_of(frame))
            if self.sent[-1] not in self.swallowed:
                server.send(frame)

        def down(frame: str | bytes) -> None:
            lost = [
                key for key, left in self._lost.items() if left and key[0] == type_of(frame) and key[1] in str(frame)
            ]
            if lost:
                self._lost[lost[0]] -= 1
            else:
                socket.send(self.edit(str(frame)))

        socket.on_message(up)
        server.on_message(down)

    def inject(self, type_: str, payload: dict[str, Any]) -> None:
        """Let the page hear a frame that its server did not send."""
        self._sockets[-1].send(json.dumps({"type": type_, "id": "x", "timestamp": "", "payload": payload}))

    def lose(self, type_: str, *, times: int, having: str = "") -> None:
        """Swallow the next frames of a type that the server sends and that have this text in them."""
        self._lost[type_, having] += times

    def break_off(self) -> None:
        """Cut the wire: open sockets close, new ones do not open."""
        self.cut = True
        for socket in self._sockets:
            socket.close(code=1013)
        self._sockets.clear()

    def mend(self) -> None:
        """From now on nothing is lost any more."""
        self.cut = False
        self._lost.clear()


def until(page: Page, happened: Callable[[], bool], what: str) -> None:
    """Wait for something on the test's side of the wire, while Playwright hands frames over."""
    end = time.monotonic() + 15
    while not happened():
        assert time.monotonic() < end, f"waited in vain for {what}"
        page.wait_for_timeout(10)


def type_of(frame: str | bytes) -> str:
    found = re.search(r'"type":"([a-z.]+)"', str(frame))
    return found[1] if found else ""


class Person:
    """One person with an account of their own, and a browser window, signed in, from its first use on."""

    def __init__(self, account: Account, new_page: NewPage, **window: Any) -> None:
        self.account = account
        self.wire = Wire()
        self._new_page = new_page
        self._window = window

    @cached_property
    def page(self) -> Page:
        page = self._new_page(**self._window)
        page.route_web_socket("**/ws/v1**", self.wire.take)
        name, value = settings.SESSION_COOKIE_NAME, session_of(self.account)
        page.context.add_cookies([{"name": name, "value": value, "url": self.base}])
        return page

    @property
    def base(self) -> str:
        return self.account.base

    @property
    def name(self) -> str:
        return self.account.name

    def tab(self) -> "Person":
        """Return the same person before another tab of the same browser."""
        return Person(self.account, self.page.context.new_page)

    # --- what they do without a browser -------------------------------------------------------------------------------

    def elsewhere(self) -> "Person":
        """Return the same person before another browser."""
        return Person(self.account, self._new_page, **self._window)

    def direct_with(self, other: "Person") -> str:
        """Return the id of the direct conversation with another person."""
        return str(self.account.call("POST", "/conversations", {"kind": "direct", "userId": other.account.id})["id"])

    def group_with(self, name: str, *others: "Person") -> str:
        """Create a group and return its id."""
        body = {"kind": "group", "name": name, "memberIds": [other.account.id for other in others]}
        return str(self.account.call("POST", "/conversations", body)["id"])

    def say(self, chat_id: str, text: str) -> None:
        """Send a message from another client."""
        self.account.call("POST", f"/conversations/{chat_id}/messages", {"content": text})

    # --- what they do and see in it -----------------------------------------------------------------------------------

    def open(self, path: str) -> None:
        """Open a page of the app and wait until it is live."""
        self.page.goto(self.base + path)
        self.connected()

    def connected(self) -> None:
        """Wait until the page has its connection."""
        self.page.wait_for_selector(CONNECTED, state="attached")

    def cut_off(self) -> None:
        """Cut the page's wire, and wait until it knows."""
        self.wire.break_off()
        expect(self.page.locator("html")).not_to_have_attribute("data-connection", "open")

    def write(self, text: str) -> None:
        """Type without sending."""
        self.page.get_by_label("Message", exact=True).press_sequentially(text)

    def send(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.keyboard.press("Enter")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log", name="Messages")

    def message(self, text: str) -> Locator:
        return self.log.locator(".message").filter(has_text=text)

    def ticks(self, text: str) -> Locator:
        return self.message(text).locator(".ticks")

    def texts(self) -> list[str]:
        return self.log.locator(".text").all_inner_texts()

    def item(self, title: str) -> Locator:
        """Return a conversation of the list."""
        return self.page.locator("#chats a").filter(has=self.page.get_by_text(title, exact=True))

    @property
    def banner(self) -> Locator:
        return self.page.locator("#banner")

    @property
    def typing_line(self) -> Locator:
        return self.page.locator("#typing")


NewPerson = Callable[..., Person]
