"""Messages change: two people see the same edits, deletions, reactions, replies, threads, mentions and polls."""

from playwright.sync_api import Locator, expect

from tests.browser.person import NewPerson, Person


def two_in(person: NewPerson, *others: Person) -> tuple[Person, Person, str]:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.group_with("Compilers", grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    return ada, grace, chat


def do(who: Person, text: str, action: str) -> None:
    """Choose from a message's menu, with the keyboard."""
    who.message(text).last.focus()
    who.page.keyboard.press("Enter")
    who.page.get_by_role("menuitem", name=action, exact=True).click()


def text_of(who: Person, text: str) -> Locator:
    return who.message(text).last.locator(".text")


def test_edit_and_its_history_are_shown_to_the_other_user(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("teh *build* is green")
    expect(grace.message("teh build")).to_be_visible()
    do(ada, "teh build", "Edit")
    field = ada.page.get_by_label("Message", exact=True)
    expect(field).to_have_value("teh *build* is green")
    field.fill("the *build* is green")
    ada.page.keyboard.press("Enter")
    for who in (ada, grace):
        expect(who.message("the build is green").get_by_text("edited")).to_be_visible()
        expect(text_of(who, "the build").locator("strong")).to_have_text("build")
    do(grace, "the build", "Edit history")
    dialog = grace.page.get_by_role("dialog", name="Edit history")
    expect(dialog.get_by_role("listitem").locator("p")).to_have_text(["the *build* is green", "teh *build* is green"])


def test_arrow_up_edits_the_last_own_message_and_escape_cancels(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("first")
    grace.send("second")
    expect(ada.message("second")).to_be_visible()
    field = ada.page.get_by_label("Message", exact=True)
    field.press("ArrowUp")
    expect(field).to_have_value("first")
    field.press("Escape")
    expect(field).to_have_value("")
    expect(ada.page.locator("#context")).to_be_hidden()


def test_message_deleted_for_everyone_leaves_a_tombstone(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("never mind")
    expect(grace.message("never mind")).to_be_visible()
    do(ada, "never mind", "Delete for everyone")
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for who in (ada, grace):
        expect(who.message("This message was deleted")).to_be_visible()
        expect(who.message("never mind")).to_have_count(0)


def test_tombstone_names_the_deleting_admin(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    grace.send("buy now")
    expect(ada.message("buy now")).to_be_visible()
    do(ada, "buy now", "Delete for everyone")
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(grace.message(f"{ada.name} deleted a message")).to_be_visible()
    expect(ada.message("You deleted a message")).to_be_visible()


def test_message_deleted_for_oneself_disappears_on_own_devices_only(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    ada.send("hide me")
    other = grace.elsewhere()
    other.open(f"/c/{chat}/")
    expect(other.message("hide me")).to_be_visible()
    do(grace, "hide me", "Delete for me")
    grace.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for who in (grace, other):
        expect(who.message("hide me")).to_have_count(0)
    expect(ada.message("hide me")).to_be_visible()


def test_reactions_are_added_counted_named_and_removed(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("shipped")
    grace.message("shipped").hover()
    grace.message("shipped").get_by_role("button", name="React").click()
    grace.page.get_by_role("button", name="tada").click()
    chip = ada.message("shipped").locator(".reaction")
    expect(chip).to_have_text("🎉 1")
    expect(chip).to_have_attribute("title", grace.name)
    chip.click()
    for who in (ada, grace):
        expect(who.message("shipped").locator(".reaction")).to_have_text("🎉 2")
        expect(who.message("shipped").locator(".reaction")).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(grace.message("shipped").locator(".reaction")).to_have_text("🎉 1")
    expect(chip).to_have_attribute("aria-pressed", "false")


def test_refused_reaction_is_reverted_with_a_notice(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("shipped")
    expect(grace.message("shipped")).to_be_visible()
    grace.cut_off()
    grace.message("shipped").hover()
    grace.message("shipped").get_by_role("button", name="React").click()
    grace.page.get_by_role("button", name="tada").click()
    expect(grace.page.locator("#toast")).to_be_visible()
    expect(grace.message("shipped").locator(".reaction")).to_have_count(0)


def test_reply_quotes_and_links_its_message(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("shall we?")
    do(grace, "shall we?", "Reply")
    expect(grace.page.locator("#context")).to_contain_text(f"Reply to {ada.name}")
    grace.send("we shall")
    quote = ada.message("we shall").locator(".quote")
    expect(quote).to_contain_text("shall we?")
    quote.click()
    expect(ada.message("shall we?").first).to_have_class("message own first last found")
    expect(ada.message("shall we?").first.locator(".thread-link")).to_have_text("1 reply")


def test_thread_shows_replies_and_receives_new_ones_live(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("the root")
    do(grace, "the root", "Open thread")
    thread = grace.page.get_by_role("complementary", name="Thread")
    expect(thread.locator(".message")).to_have_count(1)
    thread.get_by_label("Reply in the thread").fill("below it")
    grace.page.keyboard.press("Enter")
    expect(thread.locator(".message")).to_have_count(2)

    ada.message("the root").first.get_by_role("button", name="1 reply").click()
    here = ada.page.get_by_role("complementary", name="Thread")
    expect(here.locator(".message")).to_have_count(2)
    here.get_by_label("Reply in the thread").fill("and again")
    ada.page.keyboard.press("Enter")
    expect(thread.locator(".message").last).to_contain_text("and again")
    expect(grace.message("the root").first.locator(".thread-link")).to_have_text("2 replies")
    grace.page.get_by_role("button", name="Close the thread").click()
    expect(thread).to_be_hidden()


def test_mention_is_suggested_sent_and_marked(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat, other = ada.group_with("Compilers", grace), ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{other}/")
    ada.write("hello @gra")
    expect(ada.page.get_by_role("option", name=grace.name)).to_have_attribute("aria-selected", "true")
    ada.page.keyboard.press("Enter")
    expect(ada.page.get_by_label("Message", exact=True)).to_have_value(f"hello @{grace.name} ")
    ada.page.keyboard.press("Enter")
    expect(ada.message("hello").locator(".mention")).to_have_text(f"@{grace.name}")
    expect(grace.item("Compilers").locator(".mention-sign")).to_be_visible()
    grace.item("Compilers").click()
    expect(grace.message("hello").locator(".mention.me")).to_have_text(f"@{grace.name}")
    expect(grace.item("Compilers").locator(".mention-sign")).to_be_hidden()


def test_poll_is_created_voted_in_and_closed(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.page.get_by_role("button", name="Make a poll").click()
    ada.page.get_by_label("Question", exact=True).fill("Lunch?")
    ada.page.get_by_label("Answers, one a line").fill("Soup\nSalad\n")
    ada.page.get_by_role("button", name="Send poll").click()
    poll = grace.page.get_by_role("group", name="Lunch?")
    poll.get_by_role("button", name="Soup").click()
    expect(poll.get_by_role("button", name="Soup")).to_have_attribute("aria-pressed", "true")
    soup = ada.page.get_by_role("group", name="Lunch?").get_by_role("button", name="Soup")
    expect(soup.locator(".poll-count")).to_have_text("1")
    expect(soup).to_have_attribute("title", grace.name)
    poll.get_by_role("button", name="Salad").click()
    expect(soup.locator(".poll-count")).to_have_text("0")
    ada.page.get_by_role("button", name="Close poll").click()
    expect(poll.get_by_role("button", name="Salad")).to_be_disabled()


def test_anonymous_poll_keeps_several_answers_of_one_user(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    poll = {"question": "When?", "options": ["Mon", "Tue", "Wed"], "multiple": True, "anonymous": True}
    ada.account.call("POST", f"/conversations/{chat}/messages", {"contentType": "poll", "data": poll})
    options = grace.page.get_by_role("group", name="When?")
    for day in ("Mon", "Wed"):
        options.get_by_role("button", name=day).click()
        expect(options.get_by_role("button", name=day)).to_have_attribute("aria-pressed", "true")
    here = ada.page.get_by_role("group", name="When?")
    expect(here.locator(".poll-count")).to_have_text(["1", "0", "1"])
    options.get_by_role("button", name="Mon").click()
    expect(here.locator(".poll-count")).to_have_text(["0", "0", "1"])


def test_location_and_contact_are_shown(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    place = {"latitude": 52.52, "longitude": 13.405, "name": "The office"}
    grace.account.call("POST", f"/conversations/{chat}/messages", {"contentType": "location", "data": place})
    card = {"name": "Barbara", "phone": "+49 30 1234"}
    grace.account.call("POST", f"/conversations/{chat}/messages", {"contentType": "contact", "data": card})
    expect(ada.message("The office").get_by_role("link", name="52.52000, 13.40500")).to_be_visible()
    expect(ada.message("Barbara").get_by_role("link", name="+49 30 1234")).to_have_attribute("href", "tel:+49301234")


def test_changes_while_offline_appear_on_return(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.send("will change")
    ada.send("will go")
    expect(grace.message("will go")).to_be_visible()
    grace.cut_off()
    do(ada, "will change", "Edit")
    ada.page.get_by_label("Message", exact=True).fill("has changed")
    ada.page.keyboard.press("Enter")
    expect(ada.message("has changed").get_by_text("edited")).to_be_visible()
    do(ada, "will go", "Delete for everyone")
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(ada.message("This message was deleted")).to_be_visible()
    grace.wire.mend()
    grace.page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(grace.message("has changed")).to_be_visible()
    expect(grace.message("This message was deleted")).to_be_visible()
