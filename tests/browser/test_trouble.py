"""When the connection fails: nothing that was written is lost, nothing comes twice, and the page says what is going on."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.browser.mortal import Mortal
from tests.browser.person import NewPerson, Person, until

STATE = "data-state"


def two_talking(person: NewPerson, **place: str) -> tuple[Person, Person]:
    ada, grace = person("Ada", **place), person("Grace", **place)
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    return ada, grace


def test_offline_messages_are_sent_in_order_after_the_sync(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.page.context.set_offline(True)
    expect(ada.banner).to_contain_text("You're offline. Messages will be sent when you reconnect.")
    ada.send("one, from the tunnel")
    ada.send("two, from the tunnel")
    expect(ada.banner).to_contain_text("2 messages waiting.")
    expect(ada.ticks("one, from the tunnel")).to_have_attribute("aria-label", "Sending")
    grace.send("said meanwhile")
    expect(grace.ticks("said meanwhile")).to_have_attribute(STATE, "sent")

    ada.page.context.set_offline(False)
    expect(ada.banner).to_be_hidden()
    expect(ada.ticks("two, from the tunnel")).to_have_attribute(STATE, "seen")
    said = ["said meanwhile", "one, from the tunnel", "two, from the tunnel"]
    assert ada.texts() == grace.texts() == said


def test_pending_messages_are_sent_after_the_gap_is_filled(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.cut_off()
    ada.send("not before the sync")
    ada.wire.swallowed.add("sync.request")
    ada.wire.mend()
    ada.connected()
    grace.write("h")
    expect(ada.typing_line).to_have_text(f"{grace.name} is typing…")  # frames come, the answer to the sync does not
    assert "message.send" not in ada.wire.sent

    ada.wire.swallowed.clear()
    ada.cut_off()
    ada.wire.mend()
    expect(ada.ticks("not before the sync")).to_have_attribute(STATE, "seen")


def test_pending_message_survives_a_reload(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.cut_off()
    ada.send("written, not sent")
    expect(ada.ticks("written, not sent")).to_have_attribute(STATE, "sending")
    expect(ada.banner).to_contain_text("Connection issues")

    ada.page.reload()
    expect(ada.ticks("written, not sent")).to_have_attribute(STATE, "sending")
    assert grace.texts() == []
    ada.wire.cut = False
    expect(ada.ticks("written, not sent")).to_have_attribute(STATE, "seen")
    assert ada.texts() == grace.texts() == ["written, not sent"]
    ada.page.reload()
    expect(ada.ticks("written, not sent")).to_have_attribute(STATE, "seen")
    assert ada.texts() == ["written, not sent"]


def test_message_with_a_lost_ack_is_stored_once(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.wire.lose("ack", times=1, having="messageId")
    ada.send("stored all the same")
    expect(grace.message("stored all the same")).to_be_visible()
    expect(ada.ticks("stored all the same")).to_have_attribute(STATE, "sending")

    ada.cut_off()
    ada.wire.cut = False
    expect(ada.ticks("stored all the same")).to_have_attribute(STATE, "seen")
    assert ada.texts() == grace.texts() == ["stored all the same"]


def test_messages_written_during_a_server_restart_arrive(mortal: Mortal, person: NewPerson) -> None:
    ada, grace = two_talking(person, base=mortal.url)
    ada.send("before")
    expect(ada.ticks("before")).to_have_attribute(STATE, "seen")

    mortal.kill()
    ada.send("while it was down")
    expect(ada.banner).to_contain_text("Connection issues")
    expect(ada.ticks("while it was down")).to_have_attribute(STATE, "sending")
    mortal.start()

    expect(grace.message("while it was down")).to_be_visible(timeout=60_000)
    expect(ada.ticks("while it was down")).to_have_attribute(STATE, "seen", timeout=60_000)
    expect(ada.banner).to_be_hidden()
    assert ada.texts() == grace.texts() == ["before", "while it was down"]


def test_page_reports_what_an_overloaded_server_omits(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.wire.inject("system.status", {"degraded": ["typing", "receipts"]})
    expect(ada.banner).to_contain_text("Late or missing: typing indicators, read marks.")
    grace.send("messages still come")
    expect(ada.message("messages still come")).to_be_visible()
    ada.wire.inject("system.status", {"degraded": []})
    expect(ada.banner).to_be_hidden()


def test_missing_rev_reveals_a_lost_frame_and_fetches_it(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    syncs = grace.wire.sent.count("sync.request")
    grace.wire.lose("message.new", times=1)
    ada.send("this frame is lost")
    expect(ada.ticks("this frame is lost")).to_have_attribute(STATE, "sent")
    ada.send("this one shows the gap")
    expect(grace.message("this one shows the gap")).to_be_visible()
    assert grace.texts() == ["this frame is lost", "this one shows the gap"]
    assert grace.wire.sent.count("sync.request") == syncs + 1


def test_unacked_message_asks_its_author_after_five_tries(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.page.clock.install()
    # The clock will jump: a heartbeat would take that for a dead connection.
    ada.wire.edit = lambda frame: frame.replace('"heartbeatInterval":30', '"heartbeatInterval":30000')
    ada.page.reload()
    ada.connected()
    ada.wire.swallowed.add("message.send")
    ada.send("into the void")
    for tries, patience in enumerate([5, 10, 20, 40, 60], start=1):
        until(ada.page, lambda: ada.wire.sent.count("message.send") == tries, f"try {tries}")  # noqa: B023
        expect(ada.ticks("into the void")).to_have_attribute(STATE, "sending")
        ada.page.clock.run_for(patience * 1000)
    expect(ada.ticks("into the void")).to_have_attribute("aria-label", "Not sent")
    assert ada.wire.sent.count("message.send") == 5

    ada.wire.swallowed.clear()
    ada.message("into the void").get_by_role("button", name="Tap to retry").click()
    expect(grace.message("into the void")).to_be_visible()
    expect(ada.message("into the void").get_by_role("button", name="Tap to retry")).to_be_hidden()


def test_refused_message_keeps_its_place_until_it_is_deleted(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.send("🙂" * 9_000)  # few enough characters, too many bytes
    refused = ada.log.locator(".message.failed")
    expect(refused.locator("[data-part=reason]")).to_have_text("Not sent: it is too long.")
    ada.send("the next one passes")
    expect(grace.message("the next one passes")).to_be_visible()
    assert len(ada.texts()) == 2
    refused.get_by_role("button", name="Delete").click()
    expect(refused).to_have_count(0)
    ada.page.reload()
    expect(ada.ticks("the next one passes")).to_have_attribute(STATE, "seen")
    assert ada.texts() == ["the next one passes"]


def test_text_above_the_length_limit_is_not_sent(person: NewPerson) -> None:
    ada, _ = two_talking(person)
    ada.send("x" * 10_001)
    expect(ada.page.locator("#text-notice")).to_have_text("1 character too long")
    assert "message.send" not in ada.wire.sent
    assert ada.texts() == []


def test_client_that_missed_too_much_reloads_the_chat(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    grace.send("before")
    expect(ada.message("before")).to_be_visible()
    ada.page.context.set_offline(True)
    expect(ada.banner).to_contain_text("You're offline.")
    chat = ada.page.url.split("/")[-2]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: grace.say(chat, f"missed {number}"), range(520)))
    history = grace.account.call("GET", f"/conversations/{chat}/messages?limit=50")["results"]

    ada.page.context.set_offline(False)
    expect(ada.log.locator(".text").last).to_have_text(history[-1]["content"])
    assert ada.texts() == [message["content"] for message in history]
    ada.send("caught up")
    expect(grace.message("caught up")).to_be_visible()


def test_new_epoch_reloads_the_page(person: NewPerson) -> None:
    ada, grace = two_talking(person)
    ada.send("kept")
    expect(ada.ticks("kept")).to_have_attribute(STATE, "seen")
    ada.wire.edit = lambda frame: frame.replace('"epoch":"', '"epoch":"restored-')
    with ada.page.expect_event("load"):
        ada.cut_off()
        ada.send("written meanwhile")
        ada.wire.cut = False
        ada.page.wait_for_event("framenavigated")
        ada.wire.edit = str
    ada.connected()
    expect(grace.message("written meanwhile")).to_be_visible()
    assert ada.texts() == ["kept", "written meanwhile"]


@pytest.mark.parametrize("seed", [1, 2])
def test_both_clients_converge_over_an_unreliable_connection(person: NewPerson, seed: int) -> None:
    chance = random.Random(seed)
    ada, grace = two_talking(person)
    said = []
    for number in range(50):
        who = chance.choice([ada, grace])
        trouble = chance.random()
        if trouble < 0.15:
            who.wire.lose(chance.choice(["message.new", "ack", "sync.response"]), times=1)
        elif trouble < 0.25:
            who.wire.break_off()
        elif trouble < 0.3:
            who.page.context.set_offline(True)
        elif trouble < 0.45:
            who.wire.cut = False
            who.page.context.set_offline(False)
        said.append(f"{who.name}: {number}")
        who.send(said[-1])
    for who in (ada, grace):
        who.wire.break_off()  # the last frame of all may have been lost: only a new connection can tell
        who.wire.mend()
        who.page.context.set_offline(False)

    for who in (ada, grace):
        expect(who.log.locator(".message")).to_have_count(50, timeout=60_000)
        expect(who.log.locator(".ticks[data-state=sending]")).to_have_count(0, timeout=60_000)
    history = ada.account.call("GET", f"/conversations/{ada.page.url.split('/')[-2]}/messages?limit=100")["results"]
    stored = [message["content"] for message in history]
    assert sorted(stored) == sorted(said)
    assert ada.texts() == grace.texts() == stored
    for name in (ada.name, grace.name):
        assert [text for text in stored if text.startswith(name)] == [text for text in said if text.startswith(name)]
