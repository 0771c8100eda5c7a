"""Conversations and teams as the page shows them: settings, members and roles, channels and who comes into them."""

from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.person import NewPerson, Person


def details(who: Person) -> Locator:
    """Open the details of the open conversation."""
    who.page.get_by_role("button", name="Details").click()
    return who.page.get_by_role("complementary", name="Details")


def more(panel: Locator, other: Person, action: str) -> None:
    panel.get_by_role("button", name=f"More about {other.name}").click()
    panel.page.get_by_role("menuitem", name=action, exact=True).click()


def confirm(who: Person, action: str) -> None:
    who.page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def group(person: NewPerson) -> tuple[Person, Person, str]:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.group_with("Compilers", grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    return ada, grace, chat


def test_group_is_renamed_for_all_members(person: NewPerson) -> None:
    ada, grace, _ = group(person)
    panel = details(ada)
    panel.get_by_role("button", name="Edit").click()
    panel.get_by_label("Name", exact=True).first.fill("Interpreters")
    panel.get_by_label("Topic").fill("and their stacks")
    panel.get_by_role("button", name="Save").click()
    for who in (ada, grace):
        expect(who.page.get_by_role("heading", name="Interpreters").first).to_be_visible()
        expect(who.item("Interpreters")).to_be_visible()
    expect(grace.page.get_by_text("2 members · and their stacks")).to_be_visible()
    grace.page.get_by_role("button", name="Details").click()
    expect(grace.page.get_by_role("button", name="Edit")).to_have_count(0)


def test_members_are_added_promoted_and_removed(person: NewPerson) -> None:
    ada, grace, _ = group(person)
    edsger = person("Edsger")
    edsger.open("/")
    panel = details(ada)
    panel.get_by_label("Add people").fill(edsger.name)
    panel.get_by_role("list", name="People to add").get_by_role("button", name=edsger.name).click()
    expect(edsger.item("Compilers")).to_be_visible()
    expect(panel.locator(".member")).to_have_count(3)

    more(panel, grace, "Make admin")
    expect(panel.locator(".member").filter(has_text=grace.name)).to_contain_text("Admin")
    here = details(grace)
    expect(here.get_by_role("button", name="Edit")).to_be_visible()  # her own page knows it too
    more(here, edsger, "Remove")
    confirm(grace, "Remove")
    expect(edsger.item("Compilers")).to_have_count(0)
    expect(panel.locator(".member")).to_have_count(2)


def test_owner_hands_a_group_over_and_leaves(person: NewPerson) -> None:
    ada, grace, _ = group(person)
    panel = details(ada)
    more(panel, grace, "Hand over")
    confirm(ada, "Hand over")
    expect(panel.locator(".member").filter(has_text=grace.name)).to_contain_text("Owner")
    panel.get_by_role("button", name="Leave group").click()
    confirm(ada, "Leave")
    expect(ada.item("Compilers")).to_have_count(0)
    expect(grace.page.get_by_text("1 member", exact=True).first).to_be_visible()


def test_dissolved_group_disappears_for_all_members(person: NewPerson) -> None:
    ada, grace, _ = group(person)
    details(ada).get_by_role("button", name="Dissolve group").click()
    confirm(ada, "Dissolve")
    for who in (ada, grace):
        expect(who.item("Compilers")).to_have_count(0)


def test_own_preferences_apply_on_all_own_devices(person: NewPerson) -> None:
    ada, _, _ = group(person)
    other = ada.elsewhere()
    other.open("/")
    panel = details(ada)
    panel.get_by_role("button", name="Mute…").click()
    ada.page.get_by_role("menuitem", name="For 8 hours").click()
    panel.get_by_role("button", name="Pin", exact=True).click()
    for who in (ada, other):
        expect(who.item("Compilers").get_by_text("Muted")).to_be_attached()
        expect(who.item("Compilers").get_by_text("Pinned")).to_be_attached()
    panel.get_by_role("button", name="Unmute").click()
    expect(other.item("Compilers").locator("[data-part=muted]")).to_be_hidden()
    panel.get_by_role("button", name="Mark as unread").click()
    expect(other.item("Compilers").locator(".badge")).to_be_visible()


def test_archived_conversation_is_hidden_and_can_be_found(person: NewPerson) -> None:
    ada, grace, _ = group(person)
    elsewhere = ada.direct_with(grace)
    details(ada).get_by_role("button", name="Archive", exact=True).click()
    expect(ada.page.get_by_role("button", name="Take out of the archive")).to_be_visible()
    ada.open(f"/c/{elsewhere}/")
    expect(ada.item("Compilers")).to_have_count(0)
    ada.page.get_by_role("button", name="Show archived").click()
    expect(ada.item("Compilers")).to_be_visible()


def test_draft_appears_on_another_device(person: NewPerson) -> None:
    ada, _, chat = group(person)
    other = ada.elsewhere()
    other.open(f"/c/{chat}/")
    other.page.get_by_label("Message", exact=True).blur()
    ada.write("begun here")
    expect(other.page.get_by_label("Message", exact=True)).to_have_value("begun here")


def team_of(*people: Person) -> dict[str, Any]:
    first, *others = people
    team: dict[str, Any] = first.account.call("POST", "/teams", {"name": "Languages"})
    body = {"userIds": [other.account.id for other in others]}
    first.account.call("POST", f"/teams/{team['id']}/members", body)
    return team


def test_team_is_created_and_its_channel_joined_and_used(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    ada.open("/")
    ada.page.get_by_role("button", name="Teams").click()
    dialog = ada.page.get_by_role("dialog")
    dialog.get_by_role("button", name="New team").click()
    dialog.get_by_label("Team name").fill("Languages")
    dialog.get_by_role("button", name="Create").click()
    dialog.get_by_label("Add people").fill(grace.name)
    dialog.get_by_role("list", name="People to add").get_by_role("button", name=grace.name).click()
    expect(dialog.get_by_role("list", name="People of the team")).to_contain_text(grace.name)
    dialog.get_by_role("button", name="New channel").click()
    dialog.get_by_label("Channel name").fill("parsers")
    dialog.get_by_role("button", name="Create").click()
    expect(ada.page.get_by_role("heading", name="parsers")).to_be_visible()

    grace.open("/")
    grace.page.get_by_role("button", name="Teams").click()
    grace.page.get_by_role("button", name="Languages").click()
    grace.page.get_by_role("button", name="parsers").click()
    expect(grace.page.get_by_role("heading", name="parsers")).to_be_visible()
    grace.send("hello channel")
    expect(ada.message("hello channel")).to_be_visible()


def test_only_admins_write_in_a_broadcast(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    team = team_of(ada, grace)
    chat = ada.account.call("POST", f"/teams/{team['id']}/channels", {"kind": "broadcast", "name": "news"})["id"]
    grace.account.call("POST", f"/conversations/{chat}/join")
    grace.open(f"/c/{chat}/")
    expect(grace.page.get_by_text("Only admins write here.")).to_be_visible()
    expect(grace.page.locator("#composer")).to_be_hidden()
    ada.open(f"/c/{chat}/")
    ada.send("version 2 is out")
    expect(grace.message("version 2 is out")).to_be_visible()
