"""Reading: the place is kept, what is new is shown, what is older comes when it is wanted."""

from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Locator, expect

from tests.browser.person import NewPage, NewPerson, Person

FIRST_VISIBLE = """() => {
  const top = document.getElementById("scroller").getBoundingClientRect().top;
  const node = [...document.querySelectorAll(".message")].find((n) => n.getBoundingClientRect().bottom > top + 60);
  return [node.dataset.seq, Math.round(node.getBoundingClientRect().top)];
}"""
SCROLL = "(top) => { document.getElementById('scroller').scrollTop = top; }"


def talk(person: NewPerson, *, count: int) -> tuple[Person, Person, str]:
    reader, writer = person("Ada"), person("Grace")
    chat = reader.direct_with(writer)
    for number in range(1, count + 1):
        writer.say(chat, f"number {number}")
    return reader, writer, chat


def in_view(locator: Locator) -> None:
    expect(locator).to_be_in_viewport()


def test_page_has_its_newest_messages_without_scripts(person: NewPerson, new_page: NewPage) -> None:
    ada, _, chat = talk(person, count=3)
    page = new_page(java_script_enabled=False, storage_state=ada.page.context.storage_state())
    page.goto(f"{ada.base}/c/{chat}/")
    assert page.locator("#log .text").all_inner_texts() == ["number 1", "number 2", "number 3"]
    expect(page.locator("#chats a[aria-current]")).to_contain_text("number 3")


def test_conversation_opens_at_the_first_unread_message_below_a_divider(person: NewPerson) -> None:
    ada, _, chat = talk(person, count=19)
    ada.open(f"/c/{chat}/")
    in_view(ada.message("number 1").first)
    expect(ada.page.get_by_role("heading", name="New messages")).to_be_visible()
    expect(ada.page.get_by_role("heading", name="Today")).to_be_visible()


def test_message_from_another_own_device_does_not_mark_earlier_ones_as_read(person: NewPerson) -> None:
    ada, grace, chat = talk(person, count=2)
    ada.say(chat, "I am on my way, and have read nothing")
    grace.say(chat, "number 3")
    ada.open(f"/c/{ada.group_with('Elsewhere', grace)}/")
    expect(ada.item(grace.name).locator(".badge")).to_have_text("3 unread")
    grace.open(f"/c/{chat}/")
    expect(grace.ticks("number 1")).to_have_attribute("data-state", "delivered")
    ada.item(grace.name).click()
    expect(ada.page.get_by_role("heading", name="New messages")).to_be_visible()
    in_view(ada.message("number 1").first)
    expect(grace.ticks("number 3")).to_have_attribute("data-state", "seen")
    expect(ada.item(grace.name).locator(".badge")).to_be_hidden()


def test_scrolling_up_loads_older_pages_without_a_jump(person: NewPerson) -> None:
    ada, grace, chat = talk(person, count=19)
    for batch in range(3):
        for number in range(19):
            grace.say(chat, f"later {batch}.{number}") if number % 2 else ada.say(chat, f"mine {batch}.{number}")
    ada.open(f"/c/{chat}/")
    expect(ada.log.locator(".message")).to_have_count(50)
    ada.page.locator("#scroller").hover()
    ada.page.evaluate(SCROLL, -100_000)
    expect(ada.log.locator(".message")).to_have_count(76)
    in_view(ada.message("later 0.7"))


def test_new_message_keeps_the_scroll_position_of_a_reader_further_up(person: NewPerson) -> None:
    ada, grace, chat = talk(person, count=19)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.page.evaluate(SCROLL, 0)
    in_view(ada.message("number 19"))
    ada.page.evaluate(SCROLL, -400)
    before = ada.page.evaluate(FIRST_VISIBLE)

    grace.send("look down here")
    pill = ada.page.get_by_role("button", name="New messages")
    expect(pill).to_be_visible()
    expect(pill).to_contain_text("1")
    assert ada.page.evaluate(FIRST_VISIBLE) == before
    expect(grace.ticks("look down here")).to_have_attribute("data-state", "delivered")

    pill.click()
    in_view(ada.message("look down here"))
    expect(pill).to_be_hidden()
    expect(grace.ticks("look down here")).to_have_attribute("data-state", "seen")


def test_page_at_the_end_follows_new_messages(person: NewPerson) -> None:
    ada, grace, chat = talk(person, count=19)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    ada.page.evaluate(SCROLL, -40)  # within 50 px counts as the end
    for number in range(5):
        grace.send(f"follow {number}")
    in_view(ada.message("follow 4"))
    expect(ada.page.get_by_role("button", name="New messages")).to_be_hidden()


def test_draft_stays_with_its_conversation(person: NewPerson) -> None:
    ada, grace, edsger = person("Ada"), person("Grace"), person("Edsger")
    first, _ = ada.direct_with(grace), ada.direct_with(edsger)
    ada.open(f"/c/{first}/")
    ada.write("half a thought")
    ada.item(edsger.name).click()
    field = ada.page.get_by_label("Message", exact=True)
    expect(field).to_have_value("")
    expect(ada.item(grace.name)).to_contain_text("Draft: half a thought")
    ada.page.reload()
    ada.item(grace.name).click()
    expect(field).to_have_value("half a thought")
    expect(ada.page).to_have_url(f"{ada.base}/c/{first}/")


def test_messages_of_one_sender_are_grouped_and_links_are_clickable(person: NewPerson) -> None:
    ada, _, chat = talk(person, count=2)
    ada.open(f"/c/{chat}/")
    ada.send("see https://example.org/a?b=1, then\nanswer <b>boldly</b>")
    link = ada.page.get_by_role("link", name="https://example.org/a?b=1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(ada.message("answer").locator(".text")).to_have_text(
        "see https://example.org/a?b=1, then answer <b>boldly</b>"
    )
    expect(ada.message("number 2")).not_to_have_class("first")
    expect(ada.log.locator(".message.first")).to_have_count(2)


def test_flood_of_messages_is_shown_in_order_with_few_elements(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: grace.say(chat, f"flood {number}"), range(1, 419)))
    for number in (419, 420):  # the second is drawn alone, at the end of a log that has settled: then it is trimmed
        grace.say(chat, f"flood {number}")
        expect(ada.log.locator(".text").last).to_have_text(f"flood {number}")
    history = grace.account.call("GET", f"/conversations/{chat}/messages?limit=100")["results"]
    expect(ada.log.locator(".text").last).to_have_text(history[-1]["content"])

    shown = ada.texts()
    assert len(shown) <= 300
    assert shown[-100:] == [message["content"] for message in history]
    assert len(set(shown)) == len(shown)
    ada.page.evaluate(SCROLL, -100_000)
    expect(ada.log.locator(f".message[data-seq='{420 - len(shown)}']")).to_have_count(1)


def test_long_conversation_list_is_complete(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    for number in range(55):
        ada.group_with(f"group {number}", grace)
    grace.open("/")
    expect(grace.page.locator("#chats li")).to_have_count(55)
    expect(grace.item("group 0")).to_be_attached()
