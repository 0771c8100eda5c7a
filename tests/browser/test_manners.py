"""What a client owes its server: no more frames than agreed, marks that are true, and patience when it is away."""

import time

from playwright.sync_api import expect

from tests.browser.person import NewPerson, Person, until

STATE = "document.documentElement.dataset.connection"
LOOK_AWAY = "window.looking = false; document.hasFocus = () => window.looking;"
LOOK = "() => { window.looking = true; window.dispatchEvent(new Event('focus')); }"


def two_talking(person: NewPerson) -> tuple[Person, Person]:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    return ada, grace


def test_typing_is_sent_on_the_first_key_then_every_three_seconds(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.page.clock.install()
    sent = ada.wire.sent

    ada.write("a")
    until(ada.page, lambda: sent.count("typing.start") == 1, "the first typing.start")
    ada.page.clock.run_for(1000)
    ada.write("b")
    ada.page.clock.run_for(2100)
    ada.write("c")
    until(ada.page, lambda: sent.count("typing.start") == 2, "the second typing.start")
    assert sent.count("typing.stop") == 0
    ada.page.clock.run_for(4000)
    until(ada.page, lambda: sent.count("typing.stop") == 1, "typing.stop")
    expect(grace.typing_line).to_have_text("")


def test_message_in_a_background_page_is_delivered_and_not_seen(person: NewPerson) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.page.add_init_script(LOOK_AWAY)
    grace.open(f"/c/{chat}/")

    ada.send("is anybody looking?")
    expect(grace.message("is anybody looking?")).to_be_visible()
    expect(ada.ticks("is anybody looking?")).to_have_attribute("data-state", "delivered")
    assert "read.mark" not in grace.wire.sent
    grace.page.evaluate(LOOK)
    expect(ada.ticks("is anybody looking?")).to_have_attribute("data-state", "seen")


def test_marks_are_throttled_in_a_flood(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    chat = ada.page.url.split("/")[-2]
    begun = time.monotonic()
    for number in range(150):
        grace.say(chat, f"flood {number}")
    expect(grace.ticks("flood 149")).to_have_attribute("data-state", "seen")
    seconds = time.monotonic() - begun
    assert ada.wire.sent.count("message.delivered") <= 5 * seconds + 2
    assert ada.wire.sent.count("read.mark") <= seconds + 2


def test_reconnecting_waits_longer_each_time(person: NewPerson) -> None:
    ada, _ = two_talking(person)
    ada.page.clock.install()
    ada.page.reload()
    ada.connected()
    ada.page.clock.pause_at(ada.page.evaluate("Date.now()") + 1000)
    ada.cut_off()
    waiting = ada.page.locator('html[data-connection="waiting"]')
    for tries, seconds in enumerate([1, 2, 4, 8, 16, 30, 30]):
        expect(waiting).to_be_attached()
        ada.page.clock.run_for(int(seconds * 660))
        assert ada.wire.refused == tries
        # In small steps: what is left of a step when the try is made already counts for the next wait.
        for _ in range(12):
            ada.page.clock.run_for(int(seconds * 50))
            if ada.page.evaluate(STATE) != "waiting" or ada.wire.refused > tries:
                break
        until(ada.page, lambda: ada.wire.refused == tries + 1, f"try {tries + 1}")  # noqa: B023
    ada.page.clock.resume()
    ada.wire.mend()
    ada.banner.get_by_role("button", name="Try now").click()
    ada.connected()
    expect(ada.banner).to_be_hidden()
