"""Two and three people talk: what one does, the others see."""

from playwright.sync_api import expect

from tests.browser.person import NewPerson


def test_message_is_typed_delivered_seen_and_answered(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")

    ada.write("Did the build go through?")
    expect(grace.typing_line).to_have_text(f"{ada.name} is typing…")
    ada.page.keyboard.press("Enter")
    expect(grace.message("Did the build go through?")).to_be_visible()
    expect(grace.typing_line).to_have_text("")
    expect(ada.ticks("Did the build go through?")).to_have_attribute("data-state", "seen")
    expect(ada.ticks("Did the build go through?")).to_have_attribute("aria-label", "Seen")

    grace.send("All green.")
    expect(ada.message("All green.")).to_be_visible()
    assert ada.texts() == grace.texts() == ["Did the build go through?", "All green."]


def test_message_is_delivered_before_it_is_seen(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat, other = ada.direct_with(grace), grace.group_with("Elsewhere", ada)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{other}/")

    ada.send("When you have a minute")
    expect(ada.ticks("When you have a minute")).to_have_attribute("data-state", "delivered")
    expect(grace.item(ada.name)).to_contain_text("When you have a minute")
    expect(grace.item(ada.name).locator(".badge")).to_have_text("1 unread")
    expect(grace.page).to_have_title("(1) Elsewhere · Parley")

    grace.item(ada.name).click()
    expect(grace.message("When you have a minute")).to_be_visible()
    expect(ada.ticks("When you have a minute")).to_have_attribute("data-state", "seen")
    expect(grace.item(ada.name).locator(".badge")).to_be_hidden()


def test_message_to_offline_members_shows_sent(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    ada.send("Anybody there?")
    expect(ada.ticks("Anybody there?")).to_have_attribute("aria-label", "Sent")


def test_group_shows_seen_count_and_typists(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    chat = ada.group_with("Compilers", grace, edsger)
    for each in (ada, grace, edsger):
        each.open(f"/c/{chat}/")

    ada.send("Review at three?")
    seen_by = ada.message("Review at three?").get_by_role("button", name="Seen by")
    expect(seen_by).to_have_text("Seen by 2")
    grace.write("y")
    expect(ada.typing_line).to_have_text(f"{grace.name} is typing…")
    edsger.write("n")
    expect(ada.typing_line).to_have_text(f"{grace.name} and {edsger.name} are typing…")
    edsger.send("No")
    expect(ada.message("No")).to_contain_text(edsger.name)


def test_typing_line_causes_no_layout_shift(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    before = grace.page.locator("#composer").bounding_box()
    ada.write("h")
    expect(grace.typing_line).not_to_have_text("")
    assert grace.page.locator("#composer").bounding_box() == before


def test_direct_chat_is_started_from_the_page(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    ada.open("/")
    grace.open("/")
    ada.page.get_by_role("button", name="New conversation").click()
    ada.page.get_by_role("searchbox", name="To").fill(grace.name)
    ada.page.get_by_role("dialog").get_by_role("button", name=grace.name).click()
    ada.page.get_by_role("button", name="Start chat").click()
    expect(ada.page.get_by_role("heading", name=grace.name)).to_be_visible()
    ada.send("First!")
    expect(grace.item(ada.name)).to_contain_text("First!")


def test_group_is_started_from_the_page(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    ada.open("/")
    grace.open("/")
    ada.page.get_by_role("button", name="New conversation").click()
    for other in (grace, edsger):
        ada.page.get_by_role("searchbox", name="To").fill(other.name)
        ada.page.get_by_role("list", name="People").get_by_role("button", name=other.name).click()
    ada.page.get_by_label("Group name").fill("Reading circle")
    ada.page.get_by_role("button", name="Create group").click()
    expect(ada.page.get_by_text("3 members")).to_be_visible()
    expect(grace.item("Reading circle")).to_be_visible()


def test_device_is_signed_out_from_the_settings(person: NewPerson) -> None:
    here = person("Ada")
    there = here.elsewhere()
    here.open("/")
    there.open("/")
    here.page.goto(f"{here.base}/settings/")
    devices = here.page.get_by_role("listitem").filter(has=here.page.get_by_role("button", name="Sign out"))
    expect(here.page.locator(".tag:visible")).to_have_text("This device")
    devices.first.get_by_role("button").click()
    expect(there.banner).to_contain_text("You have been signed out.")
    there.banner.get_by_role("button", name="Sign in").click()
    expect(there.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_two_tabs_show_the_same_state(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    other = ada.tab()
    other.open("/")
    grace.open(f"/c/{chat}/")

    ada.send("from the first tab")
    expect(other.ticks("from the first tab")).to_have_attribute("data-state", "seen")
    other.send("from the second")
    expect(ada.ticks("from the second")).to_have_attribute("data-state", "seen")
    grace.send("to both")
    for tab in (ada, other):
        expect(tab.message("to both")).to_be_visible()
        expect(tab.item(grace.name).locator(".badge")).to_be_hidden()
    assert ada.texts() == other.texts() == grace.texts()


def test_pending_message_is_sent_once_by_one_of_two_tabs(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.cut_off()
    ada.send("once")
    expect(ada.ticks("once")).to_have_attribute("data-state", "sending")

    other = ada.tab()
    other.open(f"/c/{chat}/")
    expect(grace.message("once")).to_be_visible()
    ada.wire.cut = False
    expect(ada.ticks("once")).to_have_attribute("data-state", "seen")
    assert ada.texts() == other.texts() == grace.texts() == ["once"]
