"""Who is here, as others see it: the six states, last seen, what was chosen, and the way away and back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from playwright.sync_api import Locator, expect

from tests.browser.person import NewPerson, Person, until
from tests.browser.test_reach import OVERFLOW, findings
from tests.servers import Server, serve

BRISK = {"PARLEY_LIMIT_PRESENCE_BATCH": "0.05", "PARLEY_LIMIT_PRESENCE_UPDATE_EVERY": "0.01"}
STATES = {
    "available": "Available",
    "away": "Away",
    "dnd": "Do not disturb",
    "brb": "Be right back",
    "in_meeting": "In a meeting",
    "offline": "Offline",
}


@pytest.fixture(scope="module")
def brisk(open_database: None) -> Iterator[Server]:
    """A server that tells presence at once."""
    with serve(settings.DATABASES["default"]["NAME"], port=None, **BRISK) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(open_database: None) -> Iterator[Server]:
    """A server that thinks people away after two seconds."""
    with serve(settings.DATABASES["default"]["NAME"], port=None, PARLEY_LIMIT_PRESENCE_IDLE="2", **BRISK) as server:
        yield server


def acquainted(person: NewPerson, base: str, **window: object) -> tuple[Person, Person, str]:
    """Two people who have written to each other, so that each may know of the other."""
    ada, grace = person("Ada", base=base, **window), person("Grace", base=base)
    chat = ada.direct_with(grace)
    ada.say(chat, "Are you there?")
    grace.say(chat, "I am.")
    return ada, grace, chat


def line(who: Person) -> Locator:
    return who.page.locator("presence-line")


def choose(who: Person, label: str) -> None:
    who.page.get_by_role("button", name="Your state").click()
    who.page.get_by_role("menuitemradio", name=label).click()


def test_each_presence_state_has_its_own_text_and_shape(person: NewPerson, brisk: Server) -> None:
    ada, grace, chat = acquainted(person, brisk.url)
    ada.open(f"/c/{chat}/")
    expect(line(ada)).to_have_text("Offline")
    grace.open(f"/c/{chat}/")
    expect(line(ada)).to_have_text("Available")
    dot = ada.item(grace.name).locator("presence-dot")
    for label, shown in [
        ("Away", "Away"), ("Do not disturb", "Do not disturb"), ("Be right back", "Be right back"),
        ("In a meeting", "In a meeting"), ("Appear offline", "Offline"), ("Available", "Available"),
    ]:  # fmt: skip
        choose(grace, label)
        if shown in ("Away", "Offline"):
            expect(line(ada)).to_contain_text("ast seen" if shown == "Offline" else "Away")
        else:
            expect(line(ada)).to_have_text(shown)
        status = next(status for status, name in STATES.items() if name == shown)
        expect(dot).to_have_attribute("data-status", status)
        expect(dot).to_have_accessible_name(line(ada).inner_text())
        assert findings(ada.page) == []


def test_chosen_status_survives_a_reload_and_is_marked_in_the_menu(person: NewPerson, brisk: Server) -> None:
    ada, grace, chat = acquainted(person, brisk.url)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    choose(grace, "Do not disturb")
    expect(line(ada)).to_have_text("Do not disturb")
    grace.open(f"/c/{chat}/")
    grace.page.mouse.move(200, 200)
    expect(grace.page.locator(".rail-me presence-dot")).to_have_attribute("data-status", "dnd")
    button = grace.page.get_by_role("button", name="Your state")
    button.focus()
    grace.page.keyboard.press("Enter")
    expect(grace.page.get_by_role("menuitemradio", name="Do not disturb")).to_be_focused()
    expect(grace.page.get_by_role("menuitemradio", checked=True)).to_have_count(1)
    assert findings(grace.page) == []
    grace.page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(line(ada)).to_have_text("Do not disturb")


def test_idle_user_is_away_until_the_first_input(person: NewPerson, hasty: Server) -> None:
    ada, grace, chat = acquainted(person, hasty.url)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    expect(line(ada)).to_contain_text("Away")
    grace.page.mouse.move(300, 300)
    expect(line(ada)).to_have_text("Available")


def test_offline_user_shows_a_live_last_seen_time(person: NewPerson, brisk: Server) -> None:
    ada, grace, chat = acquainted(person, brisk.url)
    ada.page.clock.install()
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    expect(line(ada)).to_have_text("Available")
    grace.page.goto("about:blank")
    expect(line(ada)).to_have_text("Last seen just now")
    ada.page.clock.fast_forward("05:10")
    expect(line(ada)).to_have_text("Last seen 5 minutes ago")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({"status": "unknown"}, ""),
        ({"status": "offline"}, "Offline"),
        ({"status": "offline", "lastSeen": timedelta(hours=3, minutes=1)}, "Last seen 3 hours ago"),
        ({"status": "offline", "lastSeen": timedelta(days=1, minutes=1)}, "Last seen yesterday"),
        ({"status": "away", "lastSeen": timedelta(minutes=7, seconds=1)}, "Away, last seen 7 minutes ago"),
    ],
)
def test_known_presence_has_a_text_and_unknown_presence_none(
    person: NewPerson, state: dict[str, object], shown: str
) -> None:
    ada, grace = person("Ada"), person("Grace")
    ada.open(f"/c/{ada.direct_with(grace)}/")
    expect(line(ada)).to_have_text("Offline")
    if isinstance(span := state.get("lastSeen"), timedelta):
        state = {**state, "lastSeen": (datetime.now(UTC) - span).isoformat().replace("+00:00", "Z")}
    ada.wire.inject("presence.changed", {"changes": [{"userId": grace.account.id, **state}]})
    expect(line(ada)).to_have_text(shown)
    dot = ada.item(grace.name).locator("presence-dot")
    if shown:
        expect(dot).to_have_accessible_name(shown)
    else:
        expect(dot).to_be_hidden()


def test_presence_subscriptions_are_renewed_on_reconnect_and_before_they_expire(
    person: NewPerson,
) -> None:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.page.clock.install()
    ada.open("/")

    def asked() -> int:
        return ada.wire.sent.count("presence.subscribe")

    until(ada.page, lambda: asked() > 0, "the first subscription")
    before = asked()
    ada.item(grace.name).click()
    until(ada.page, lambda: asked() > before, "a subscription on navigation")
    before = asked()
    ada.page.clock.fast_forward("09:00")
    until(ada.page, lambda: asked() > before, "the renewal")
    assert f"/c/{chat}/" in ada.page.url


def test_group_shows_its_available_count_and_each_members_presence(person: NewPerson, brisk: Server) -> None:
    ada, grace, edsger = (person(name, base=brisk.url) for name in ("Ada", "Grace", "Edsger"))
    chat = ada.group_with("Compilers", grace, edsger)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    expect(ada.page.locator("presence-count")).to_have_text("1 available")
    ada.page.get_by_role("button", name="Details").click()
    of_grace = ada.page.locator(".member").filter(has_text=grace.name).locator("presence-dot")
    expect(of_grace).to_have_accessible_name("Available")
    choose(grace, "In a meeting")
    expect(of_grace).to_have_accessible_name("In a meeting")
    expect(ada.page.locator("presence-count")).to_have_text("")
    assert findings(ada.page) == []


def test_presence_fits_into_a_narrow_page(person: NewPerson, brisk: Server) -> None:
    ada, _, chat = acquainted(person, brisk.url, width=320, height=640)
    ada.open("/")
    ada.page.get_by_role("button", name="Your state").click()
    expect(ada.page.get_by_role("menuitemradio")).to_have_count(6)
    assert ada.page.evaluate(OVERFLOW) == 0
    assert findings(ada.page) == []
    ada.open(f"/c/{chat}/")
    expect(line(ada)).to_be_visible()
    assert ada.page.evaluate(OVERFLOW) == 0
