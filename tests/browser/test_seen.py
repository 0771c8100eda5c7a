"""Who has seen a message: ticks in words, "Seen by n" and its list, as far as names are listed."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.person import NewPerson, Person
from tests.browser.test_reach import OVERFLOW, SMALL_TARGETS, findings


def readers(who: Person) -> Locator:
    return who.page.locator("#readers")


def test_ticks_have_a_text_for_each_state(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    ada.send("How far?")
    ticks = ada.ticks("How far?")
    expect(ticks).to_have_attribute("aria-label", "Sent")
    grace.account.call("GET", f"/conversations/{chat}/messages")
    message = ada.message("How far?").get_attribute("data-id")
    grace.account.call("POST", f"/messages/{message}/delivered")
    expect(ticks).to_have_attribute("aria-label", "Delivered")
    grace.open(f"/c/{chat}/")
    expect(ticks).to_have_attribute("aria-label", "Seen")
    expect(ticks).to_have_attribute("role", "img")


@pytest.mark.parametrize("width", [1280, 320])
def test_seen_by_list_opens_by_mouse_and_keyboard(person: NewPerson, width: int) -> None:
    ada, grace, edsger = person("Ada", width=width, height=640), person("Grace"), person("Edsger")
    chat = ada.group_with("Compilers", grace, edsger)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.send("Review at three?")
    button = ada.message("Review at three?").get_by_role("button", name="Seen by 1")
    expect(ada.page.locator(".message.system").get_by_role("button", name="Seen by")).to_have_count(0)
    button.click()
    expect(readers(ada)).to_contain_text("Seen by 1 of 2")
    expect(readers(ada).get_by_role("listitem")).to_have_count(1)
    expect(readers(ada).get_by_role("listitem")).to_contain_text(grace.name)
    expect(readers(ada).locator("time")).to_have_count(1)
    assert findings(ada.page) == []
    assert ada.page.evaluate(OVERFLOW) == 0
    assert ada.page.evaluate(SMALL_TARGETS) == []
    ada.page.keyboard.press("Escape")
    expect(readers(ada)).to_be_hidden()

    edsger.open(f"/c/{chat}/")
    expect(ada.message("Review at three?").get_by_role("button", name="Seen by 2")).to_be_visible()
    message = ada.message("Review at three?")
    message.focus()
    ada.page.keyboard.press("Enter")
    ada.page.get_by_role("menuitem", name="Who has seen it").press("Enter")
    expect(readers(ada)).to_be_focused()
    expect(readers(ada).get_by_role("listitem")).to_have_count(2)
    ada.page.keyboard.press("Escape")
    expect(message).to_be_focused()


def test_seen_list_without_names_shows_numbers(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.group_with("Compilers", grace)
    ada.account.call("PATCH", f"/conversations/{chat}/receipts", {"names": False})
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.send("Anonymous?")
    ada.message("Anonymous?").get_by_role("button", name="Seen by 1").click()
    expect(readers(ada)).to_contain_text("This conversation lists no names.")
    expect(readers(ada)).to_contain_text("Seen by 1 of 1")
    expect(readers(ada)).not_to_contain_text(grace.name)


def test_user_without_read_receipts_is_not_listed_as_having_seen(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    chat = ada.group_with("Compilers", grace, edsger)
    grace.account.call("PATCH", "/me/privacy", {"sendReadReceipts": False})
    for each in (ada, grace, edsger):
        each.open(f"/c/{chat}/")
    ada.send("Who tells?")
    expect(grace.message("Who tells?")).to_be_visible()
    ada.message("Who tells?").get_by_role("button", name="Seen by 1").click()
    expect(readers(ada)).to_contain_text("Seen by 1 of 2")
    expect(readers(ada).locator("ul").first).to_contain_text(edsger.name)
    expect(readers(ada).locator("ul").first).not_to_contain_text(grace.name)
