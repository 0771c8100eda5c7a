"""Within everybody's reach: keyboard alone, 320 px, both colour schemes, and what axe-core finds."""

import secrets
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import PASSWORD, register
from tests.browser.person import NewPage, NewPerson, Person
from tests.servers import Server

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SERIOUS = ("serious", "critical")
SMALL_TARGETS = """() => [...document.querySelectorAll("a, button, input, textarea, [role=button]")]
  .filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".text"))
  .map((node) => [node.outerHTML.slice(0, 80), node.getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([html, box]) => `${html}: ${box.width} x ${box.height}`)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def findings(page: Page) -> list[str]:
    """Return what axe-core finds serious on a page."""
    page.evaluate(AXE)
    result = page.evaluate("(rules) => axe.run(document, rules)", RULES)
    assert len(result["passes"]) > 10
    return [
        f"{found['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for found in result["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_no_serious_fault_on_any_page(person: NewPerson, new_page: NewPage, scheme: str, width: int) -> None:
    ada, grace = person("Ada", width=width, color_scheme=scheme), person("Grace")
    chat = ada.group_with("Compilers", grace)
    grace.say(chat, "see https://example.org/")
    ada.say(chat, "thanks")
    outside = new_page(width=width, color_scheme=scheme)
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        outside.goto(ada.base + path)
        assert findings(outside) == [], path

    for path in ("/", f"/c/{chat}/"):
        ada.open(path)
        assert findings(ada.page) == [], path
    ada.page.context.set_offline(True)
    ada.send("waiting")
    expect(ada.banner).to_be_visible()
    assert findings(ada.page) == []
    ada.page.context.set_offline(False)
    ada.open("/")
    ada.page.get_by_role("button", name="New conversation").click()
    expect(ada.page.get_by_role("dialog")).to_be_visible()
    assert findings(ada.page) == []
    ada.page.goto(f"{ada.base}/settings/")
    expect(ada.page.locator(".tag:visible")).to_be_visible()
    assert findings(ada.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_no_serious_fault_in_dialogs_and_menus(person: NewPerson, scheme: str, width: int) -> None:
    ada, grace = person("Ada", width=width, color_scheme=scheme), person("Grace")
    chat = ada.group_with("Compilers", grace)
    call = grace.account.call
    words = f"@{ada.name} *bold* `code`\n> quote\n- item\n```sh\nmake\n```"
    call("POST", f"/conversations/{chat}/messages", {"content": words, "mentions": [ada.account.id]})
    root = call("POST", f"/conversations/{chat}/messages", {"content": "the root"})["message"]["id"]
    call("POST", f"/conversations/{chat}/messages", {"content": "below it", "replyTo": root})
    call("PUT", f"/messages/{root}/reactions/%F0%9F%8E%89")
    poll = {"question": "Lunch?", "options": ["Soup", "Salad"]}
    call("POST", f"/conversations/{chat}/messages", {"contentType": "poll", "data": poll})
    call("DELETE", "/messages/" + call("POST", f"/conversations/{chat}/messages", {"content": "gone"})["message"]["id"])
    ada.open(f"/c/{chat}/")
    page = ada.page

    def sound(what: str) -> None:
        assert findings(page) == [], what
        assert page.evaluate(OVERFLOW) == 0, what
        assert page.evaluate(SMALL_TARGETS) == [], what

    ada.message("the root").first.focus()
    sound("messages")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Reply")).to_be_focused()
    sound("menu")
    page.keyboard.press("Escape")
    ada.message("the root").first.focus()
    page.keyboard.press("+")
    expect(page.locator(".pick").first).to_be_focused()
    sound("picker")
    page.keyboard.press("Escape")
    ada.message("the root").first.focus()
    page.keyboard.press("t")
    expect(page.locator("#thread .message")).to_have_count(2)
    sound("thread")
    page.get_by_role("button", name="Close the thread").click()
    ada.write("@")
    expect(page.get_by_role("option")).to_have_count(1)
    sound("mentions")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Details").click()
    expect(page.locator(".member")).to_have_count(2)
    page.get_by_role("button", name="Edit", exact=True).click()
    sound("details")
    page.get_by_role("button", name="Close the details").click()
    page.get_by_role("button", name="Make a poll").click()
    sound("new poll")
    page.keyboard.press("Escape")
    ada.account.call("POST", "/teams", {"name": "Languages"})
    ada.open("/")
    page.get_by_role("button", name="Teams").click()
    page.get_by_role("button", name="Languages").click()
    expect(page.get_by_text("No channels yet.")).to_be_visible()
    page.get_by_role("button", name="New channel").click()
    sound("team")


def test_message_actions_work_by_keyboard_only(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    grace.say(chat, "hello Ada")
    ada.open(f"/c/{chat}/")
    keys = ada.page.keyboard
    ada.page.get_by_label("Message", exact=True).focus()
    keys.press("Shift+Tab")
    expect(ada.message("hello Ada")).to_be_focused()
    keys.press("+")
    keys.press("ArrowRight")
    keys.press("Enter")
    expect(ada.message("hello Ada").locator(".reaction")).to_have_text("👎 1")
    ada.message("hello Ada").focus()
    keys.press("Enter")
    keys.press("ArrowDown")
    keys.press("ArrowUp")
    keys.press("Enter")
    keys.type("hello Grace")
    keys.press("Enter")
    expect(ada.message("hello Grace").locator(".quote")).to_contain_text("hello Ada")


def test_whole_page_works_by_keyboard_only(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    first, _ = ada.direct_with(grace), ada.group_with("Compilers", grace)
    grace.say(first, "hello Ada")
    ada.open("/")
    keys = ada.page.keyboard

    walk_to(ada.page, "a.item:not([aria-current])")
    keys.press("Enter")
    expect(ada.page.get_by_role("heading", name="Compilers")).to_be_visible()
    field = ada.page.get_by_label("Message", exact=True)
    expect(field).to_be_focused()
    keys.type("one line")
    keys.press("Shift+Enter")
    keys.type("and another")
    keys.press("Enter")
    expect(ada.message("one line").locator(".text")).to_have_text("one line and another")
    expect(field).to_be_focused()
    keys.type("second")
    keys.press("Enter")
    expect(ada.message("second")).to_be_visible()

    keys.press("Shift+Tab")
    expect(ada.message("second")).to_be_focused()
    keys.press("ArrowUp")
    expect(ada.message("one line")).to_be_focused()
    keys.press("Tab")
    expect(field).to_be_focused()


def test_group_is_created_by_keyboard_only(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    ada.open("/")
    walk_to(ada.page, "[data-act=new-chat]")
    ada.page.keyboard.press("Enter")
    for other in (grace, edsger):
        ada.page.keyboard.type(other.name)
        expect(ada.page.locator(".people button")).to_have_text([other.name[0] + other.name])
        ada.page.keyboard.press("Enter")
    walk_to(ada.page, "[data-part=naming] input")
    ada.page.keyboard.type("Night shift")
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("heading", name="Night shift")).to_be_visible()


def test_escape_closes_the_dialog_and_focus_returns(person: NewPerson) -> None:
    ada = person(person("Ada"))
    ada.open("/")
    button = ada.page.get_by_role("button", name="New conversation")
    button.focus()
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("dialog")).to_be_visible()
    ada.page.keyboard.press("Escape")
    expect(ada.page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_narrow_page_shows_one_pane_with_a_back_button(person: NewPerson) -> None:
    ada, grace = person("Ada", width=320, height=568), person("Grace")
    chat = ada.direct_with(grace)
    grace.say(chat, "a message with averyveryverylongwordthatnobodycouldpossiblybreakanywhere in it")
    ada.open("/")
    conversation, chats = ada.page.get_by_role("main"), ada.page.locator(".list")
    expect(conversation).to_be_hidden()
    expect(ada.item(grace.name).locator(".badge")).to_have_text("1 unread")
    assert ada.page.evaluate(OVERFLOW) == 0
    assert ada.page.evaluate(SMALL_TARGETS) == []

    ada.item(grace.name).click()
    expect(ada.message("a message with")).to_be_visible()
    expect(chats).to_be_hidden()
    assert ada.page.evaluate(OVERFLOW) == 0
    assert ada.page.evaluate(SMALL_TARGETS) == []
    ada.send("short")
    expect(ada.message("short")).to_be_in_viewport()

    ada.page.get_by_role("link", name="Back").click()
    expect(chats).to_be_visible()
    expect(ada.page).to_have_url(f"{ada.base}/")
    ada.item(grace.name).click()
    ada.page.go_back()
    expect(chats).to_be_visible()
    expect(conversation).to_be_hidden()


def test_message_behind_a_hidden_page_is_not_seen(person: NewPerson) -> None:
    ada, grace = person("Ada", width=320), person("Grace")
    chat = ada.direct_with(grace)
    ada.open("/")
    grace.open(f"/c/{chat}/")
    grace.send("do you see this?")
    expect(grace.ticks("do you see this?")).to_have_attribute("data-state", "delivered")
    expect(ada.item(grace.name).locator(".badge")).to_have_text("1 unread")
    assert "read.mark" not in ada.wire.sent


def test_message_list_is_a_polite_log_with_named_landmarks(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    expect(ada.log).to_have_attribute("aria-live", "polite")
    expect(ada.page.get_by_role("main", name="Conversation")).to_be_visible()
    expect(ada.page.get_by_role("navigation", name="Parley")).to_be_visible()
    expect(ada.page.get_by_role("region", name="Chats")).to_be_visible()
    expect(ada.item(grace.name)).to_have_attribute("aria-current", "page")


def test_sign_up_leads_to_an_empty_list(new_page: NewPage, server: Server) -> None:
    page = new_page()
    page.goto(f"{server.url}/")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("Your name").fill("Barbara Liskov")
    page.get_by_label("Email").fill(f"{secrets.token_hex(8)}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make an account").click()
    expect(page.get_by_text("No conversations yet.")).to_be_visible()


def test_sign_in_leads_to_the_newest_conversation(new_page: NewPage, server: Server, person: NewPerson) -> None:
    ada, grace = register(server.url, "Ada"), person("Grace")
    grace.say(grace.direct_with(Person(ada, new_page)), "hello Ada")
    page = new_page()
    page.goto(f"{server.url}/")
    page.get_by_label("Email").fill(ada.email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("are not correct")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("log").get_by_text("hello Ada")).to_be_visible()


def test_conversation_of_others_shows_not_found(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    chat = ada.direct_with(grace)
    answer = edsger.page.goto(f"{edsger.base}/c/{chat}/")
    assert answer is not None
    assert answer.status == 404


def walk_to(page: Page, selector: str) -> None:
    """Press Tab until the focus stands on an element."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")
