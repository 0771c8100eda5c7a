"""The way of an own message in plain words: "why did Bob not see it?"."""

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.person import NewPerson, Person
from tests.browser.test_reach import OVERFLOW, SMALL_TARGETS, findings


def details(who: Person, text: str) -> Locator:
    """Open the delivery details of a message by keyboard."""
    who.message(text).focus()
    who.page.keyboard.press("Enter")
    who.page.get_by_role("menuitem", name="Delivery details").press("Enter")
    dialog = who.page.get_by_role("dialog", name="Delivery details")
    expect(dialog).to_be_visible()
    return dialog


@pytest.mark.parametrize("width", [1280, 320])
def test_receipt_details_list_each_recipient(person: NewPerson, width: int) -> None:
    ada, grace, edsger, barbara = (
        person("Ada", width=width, height=640), person("Grace"), person("Edsger"), person("Barbara"),
    )  # fmt: skip
    chat = ada.group_with("Compilers", grace, edsger, barbara)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.send("Did you see it?")
    expect(ada.message("Did you see it?").get_by_role("button", name="Seen by 1")).to_be_visible()
    message = ada.message("Did you see it?").get_attribute("data-id")
    edsger.account.call("POST", f"/messages/{message}/delivered")

    dialog = details(ada, "Did you see it?")
    expect(dialog).to_contain_text("The server is still telling people of it.")
    expect(dialog.locator("li")).to_have_count(3)
    expect(dialog.locator("li").filter(has_text=grace.name)).to_contain_text("Has seen it, first on")
    expect(dialog.locator("li").filter(has_text=edsger.name)).to_contain_text("Has it on their device, since")
    expect(dialog.locator("li").filter(has_text=edsger.name)).to_contain_text("Has not had it on screen yet")
    expect(dialog.locator("li").filter(has_text=barbara.name)).to_contain_text("Has it on no device yet")
    assert findings(ada.page) == []
    assert ada.page.evaluate(OVERFLOW) == 0
    assert ada.page.evaluate(SMALL_TARGETS) == []
    ada.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(ada.message("Did you see it?")).to_be_focused()


def test_receipts_hidden_by_privacy_have_a_text(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    grace.account.call("PATCH", "/me/privacy", {"sendReadReceipts": False})
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.send("And now?")
    expect(ada.ticks("And now?")).to_have_attribute("aria-label", "Delivered")
    dialog = details(ada, "And now?")
    expect(dialog).to_contain_text("Does not tell others what they have read")
    ada.page.keyboard.press("Escape")
    ada.account.call("PATCH", "/me/privacy", {"showReadReceipts": False})
    expect(details(ada, "And now?")).to_contain_text("You have turned read receipts off in your settings")


def test_receipt_details_are_for_own_messages_and_report_refusal(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.group_with("Compilers", grace)
    grace.say(chat, "by another")
    ada.say(chat, "by oneself")
    ada.account.call("PATCH", f"/conversations/{chat}/receipts", {"names": False})
    ada.open(f"/c/{chat}/")
    ada.message("by another").focus()
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_role("menuitem", name="Reply")).to_be_focused()
    expect(ada.page.get_by_role("menuitem", name="Delivery details")).to_have_count(0)
    ada.page.keyboard.press("Escape")
    ada.message("by oneself").focus()
    ada.page.keyboard.press("Enter")
    ada.page.get_by_role("menuitem", name="Delivery details").press("Enter")
    expect(ada.page.locator("#toast")).to_contain_text("lists no names")


def test_fully_delivered_message_shows_delivered(person: NewPerson) -> None:
    """No worker runs for the browser tests, so the answer of one that has run is put in."""
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.say(chat, "told")
    ada.open(f"/c/{chat}/")

    def told(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "published": True})

    ada.page.route("**/trace", told)
    expect(details(ada, "told")).to_contain_text("Everybody has been told of it.")
