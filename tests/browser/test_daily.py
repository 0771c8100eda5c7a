"""A day at the page: what is written is not lost, what plays goes on, what fails is seen, and everything has its key."""

from playwright.sync_api import expect

from tests.browser.person import NewPerson, Person, until


def two_in(person: NewPerson) -> tuple[Person, Person, str]:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.group_with("Compilers", grace)
    ada.open(f"/c/{chat}/")
    return ada, grace, chat


def post(who: Person, chat: str, **body: object) -> str:
    return str(who.account.call("POST", f"/conversations/{chat}/messages", body)["message"]["id"])


def test_refused_edit_restores_its_text(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    ada.send("teh build")
    expect(ada.ticks("teh build")).to_have_attribute("data-state", "sent")
    field = ada.page.get_by_label("Message", exact=True)
    field.press("ArrowUp")
    field.fill("the build, in many well chosen words")
    ada.cut_off()
    field.press("Enter")
    expect(ada.page.locator("#toast")).to_contain_text("That needs a connection.")
    expect(field).to_have_value("the build, in many well chosen words")
    expect(ada.message("teh build")).to_be_visible()


def test_message_sent_in_one_tab_clears_the_draft_in_another(person: NewPerson) -> None:
    ada, _, chat = two_in(person)
    ada.write("sent only once")
    other = ada.tab()
    other.page.add_init_script("document.hasFocus = () => false")
    other.open(f"/c/{chat}/")
    field = other.page.get_by_label("Message", exact=True)
    expect(field).to_have_value("sent only once")
    ada.page.keyboard.press("Enter")
    expect(other.message("sent only once")).to_be_visible()
    expect(field).to_have_value("")


def test_each_thread_keeps_its_own_draft(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    for text in ("the first root", "the second root"):
        ada.send(text)
        expect(ada.ticks(text)).to_have_attribute("data-state", "sent")
    field = ada.page.get_by_label("Reply in the thread")
    for text, before in (("the first root", ""), ("the second root", ""), ("the first root", "to the first root")):
        ada.message(text).focus()
        ada.page.keyboard.press("t")
        expect(field).to_be_focused()
        expect(field).to_have_value(before)
        field.fill(f"to {text}")
    ada.page.get_by_role("button", name="Close the thread").click()
    expect(ada.message("the first root")).to_be_focused()


def test_thread_reply_is_shown_optimistically_and_reports_failure(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    ada.send("the root")
    expect(ada.ticks("the root")).to_have_attribute("data-state", "sent")
    ada.message("the root").focus()
    ada.page.keyboard.press("t")
    thread = ada.page.get_by_role("complementary", name="Thread")
    expect(thread.locator(".message")).to_have_count(1)
    ada.page.context.set_offline(True)
    thread.get_by_label("Reply in the thread").fill("from the tunnel")
    ada.page.keyboard.press("Enter")
    expect(thread.locator(".message").last.locator(".ticks")).to_have_attribute("aria-label", "Sending")
    ada.page.context.set_offline(False)
    expect(thread.locator(".message").last.locator(".ticks")).to_have_attribute("aria-label", "Sent")


def test_thread_of_an_unloaded_root_updates_live(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    root = post(grace, chat, content="the old root")
    for number in range(60):
        grace.say(chat, f"later {number}")
    post(grace, chat, content="the reply", replyTo=root)
    ada.open(f"/c/{chat}/")
    ada.message("the reply").focus()
    ada.page.keyboard.press("t")
    old = ada.page.get_by_role("complementary", name="Thread").locator(".root")
    expect(old).to_be_visible()
    grace.account.call("PUT", f"/messages/{root}/reactions/%F0%9F%8E%89")
    chip = old.locator(".reaction")
    expect(chip).to_have_text("🎉 1")
    chip.click()
    expect(chip).to_have_text("🎉 2")
    grace.account.call("PATCH", f"/messages/{root}", {"content": "the old root, edited"})
    expect(old).to_contain_text("the old root, edited")


def test_tick_or_reaction_keeps_the_text_selection(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    ada.send("select me")
    expect(ada.ticks("select me")).to_have_attribute("data-state", "sent")
    ada.page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('#log .message:last-of-type .text'))"
    )
    grace.open(f"/c/{chat}/")
    expect(ada.ticks("select me")).to_have_attribute("data-state", "seen")
    grace.message("select me").hover()
    grace.message("select me").get_by_role("button", name="React").click()
    grace.page.get_by_role("button", name="tada").click()
    expect(ada.message("select me").locator(".reaction")).to_have_text("🎉 1")
    assert ada.page.evaluate("() => String(getSelection())") == "select me"


def test_poll_is_voted_in_and_closed_by_keyboard_only(person: NewPerson) -> None:
    ada, _, chat = two_in(person)
    post(ada, chat, contentType="poll", data={"question": "Lunch?", "options": ["Soup", "Salad"]})
    poll = ada.page.get_by_role("group", name="Lunch?")
    expect(poll).to_be_visible()
    keys = ada.page.keyboard
    ada.page.get_by_label("Message", exact=True).focus()
    keys.press("Shift+Tab")
    keys.press("Enter")
    ada.page.get_by_role("menuitem", name="Vote").press("Enter")
    expect(poll.get_by_role("button", name="Soup")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("Enter")
    salad = poll.get_by_role("button", name="Salad")
    expect(salad).to_have_attribute("aria-pressed", "true")
    expect(salad).to_be_focused()
    keys.press("Escape")
    keys.press("Enter")
    ada.page.get_by_role("menuitem", name="Close poll").press("Enter")
    expect(salad).to_be_disabled()


def test_dialog_failure_is_shown_in_front_of_the_dialog(person: NewPerson) -> None:
    ada = person("Ada")
    ada.open("/")
    ada.page.get_by_role("button", name="Teams").click()
    expect(ada.page.get_by_text("You are in no team yet.")).to_be_visible()
    ada.page.get_by_role("button", name="New team").click()
    ada.page.get_by_label("Team name").fill("Languages")
    ada.page.context.set_offline(True)
    ada.page.get_by_role("button", name="Create").click()
    toast = ada.page.get_by_role("dialog").get_by_role("status")
    expect(toast).to_contain_text("That needs a connection.")
    top = "(box) => document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2).id"
    assert ada.page.evaluate(top, toast.bounding_box()) == "toast"


def test_failed_history_load_is_retried(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    other = ada.direct_with(grace)
    grace.say(other, "hello Ada")
    ada.open("/c/" + ada.group_with("Elsewhere", grace) + "/")
    ada.page.route("**/messages?limit=*", lambda route: route.abort())
    ada.item(grace.name).click()
    expect(ada.page.get_by_text("The messages could not be loaded.")).to_be_visible()
    ada.page.unroute("**/messages?limit=*")
    ada.page.get_by_role("button", name="Try again").click()
    expect(ada.message("hello Ada")).to_be_visible()


def test_conversation_with_a_blocked_user_is_not_listed(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    grace.say(ada.direct_with(grace), "hello Ada")
    ada.account.call("PUT", f"/me/blocks/{grace.account.id}")
    ada.open("/")
    syncs = ada.wire.sent.count("sync.request")
    ada.wire.break_off()
    ada.wire.cut = False
    until(ada.page, lambda: ada.wire.sent.count("sync.request") > syncs, "another sync")
    ada.send("after the sync")
    expect(ada.ticks("after the sync")).to_have_attribute("data-state", "sent")
    expect(ada.item(grace.name)).to_have_count(0)


def test_events_of_a_conversation_with_a_blocked_user_do_not_list_it(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    direct = ada.direct_with(grace)
    grace.say(direct, "hello Ada")
    expect(ada.item(grace.name)).to_be_visible()
    ada.account.call("PUT", f"/me/blocks/{grace.account.id}")
    ada.open(f"/c/{chat}/")
    ada.account.call("PATCH", f"/conversations/{direct}/members/{ada.account.id}", {"pinned": True})
    ada.account.call("PATCH", f"/conversations/{chat}/members/{ada.account.id}", {"pinned": True})
    expect(ada.item("Compilers").locator("[data-part=pinned]")).to_be_visible()
    expect(ada.item(grace.name)).to_have_count(0)


def test_archived_conversation_is_known_and_not_counted(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    other = ada.direct_with(grace)
    body = {"archived": True}
    ada.account.call("PATCH", f"/conversations/{other}/members/{ada.account.id}", body)
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url))
    ada.open(f"/c/{chat}/")
    grace.say(other, "are you there?")
    grace.say(chat, "and here?")
    expect(ada.message("and here?")).to_be_visible()
    ada.page.get_by_role("button", name="Show archived").click()
    expect(ada.item(grace.name).locator(".badge")).to_have_text("1 unread")
    expect(ada.page.locator("#total-unread")).to_be_hidden()
    assert not [url for url in asked if url.endswith(f"/conversations/{other}")]


def test_not_found_page_uses_the_app_layout(person: NewPerson) -> None:
    ada = person("Ada")
    ada.page.goto(f"{ada.base}/c/1/")
    expect(ada.page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    ada.page.get_by_role("link", name="To the conversations").click()
    ada.connected()


def test_message_behind_an_open_thread_is_not_seen(person: NewPerson) -> None:
    ada, grace = person("Ada", width=600), person("Grace")
    chat = ada.group_with("Compilers", grace)
    grace.say(chat, "the root")
    ada.open(f"/c/{chat}/")
    until(ada.page, lambda: "read.mark" in ada.wire.sent, "the mark of the root")
    ada.message("the root").focus()
    ada.page.keyboard.press("t")
    thread = ada.page.get_by_role("complementary", name="Thread")
    expect(thread.locator(".message")).to_have_count(1)
    grace.open(f"/c/{chat}/")
    grace.send("behind it")
    expect(grace.ticks("behind it")).to_have_attribute("data-state", "delivered")
    assert ada.account.call("GET", "/me/unread")["totalUnread"] == 1
    ada.page.get_by_role("button", name="Close the thread").click()
    expect(grace.ticks("behind it")).to_have_attribute("data-state", "seen")


def test_quote_of_an_unloaded_message_says_that_it_is_further_up(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    root = post(grace, chat, content="long ago")
    for number in range(60):
        grace.say(chat, f"later {number}")
    post(grace, chat, content="about that", replyTo=root)
    ada.open(f"/c/{chat}/")
    ada.message("about that").locator(".quote").click()
    expect(ada.page.locator("#toast")).to_contain_text("further up")


def test_choosing_the_open_conversation_again_keeps_the_edit(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    ada.send("teh build")
    expect(ada.ticks("teh build")).to_have_attribute("data-state", "sent")
    field = ada.page.get_by_label("Message", exact=True)
    field.press("ArrowUp")
    field.fill("the build")
    entries = ada.page.evaluate("history.length")
    ada.item("Compilers").click()
    expect(field).to_have_value("the build")
    field.press("Enter")
    expect(ada.message("the build").get_by_text("edited")).to_be_visible()
    assert ada.page.evaluate("history.length") == entries
