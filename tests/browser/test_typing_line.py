"""Who is typing: one, two, several, in small and large conversations, and nothing moves for it."""

import pytest
from django.conf import settings
from playwright.sync_api import expect

from tests.browser.person import NewPerson, Person
from tests.servers import serve

PLACES = """() => ["#composer", ".message:last-of-type", ".chat-head"]
  .map((selector) => [selector, document.querySelector(selector).getBoundingClientRect().toJSON()])"""


def group(person: NewPerson, *names: str, base: str = "", **window: object) -> tuple[list[Person], str]:
    """People in a group, all of them looking at it, with something said in it."""
    more = {"base": base} if base else {}
    first, *others = [person(names[0], **more, **window), *(person(name, **more) for name in names[1:])]
    chat = first.group_with("Compilers", *others)
    first.say(chat, "What do you think?")
    for each in (first, *others):
        each.open(f"/c/{chat}/")
    return [first, *others], chat


@pytest.mark.parametrize("width", [1280, 320])
def test_typing_line_names_one_two_and_several_without_a_layout_shift(person: NewPerson, width: int) -> None:
    (ada, *others), _ = group(person, "Ada", "Grace", "Edsger", "Barbara", width=width, height=640)
    grace, edsger, barbara = others
    # All three have seen it: what they have seen is told now, and not while they type.
    expect(ada.message("What do you think?").get_by_role("button", name="Seen by 3")).to_be_visible()
    before = ada.page.evaluate(PLACES)
    for who, line in [
        (grace, f"{grace.name} is typing…"),
        (edsger, f"{grace.name} and {edsger.name} are typing…"),
        (barbara, "Several people are typing…"),
    ]:
        for each in others[: others.index(who) + 1]:
            each.write("y")
        expect(ada.typing_line).to_have_text(line)
        assert ada.page.evaluate(PLACES) == before
    expect(ada.typing_line).to_have_text("", timeout=15_000)
    assert ada.page.evaluate(PLACES) == before


def test_large_conversation_shows_receipt_counts(person: NewPerson, open_database: None) -> None:
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_LIMIT_FANOUT_THRESHOLD="3") as large:
        (ada, grace, edsger), _ = group(person, "Ada", "Grace", "Edsger", base=large.url)
        grace.write("y")
        expect(ada.typing_line).to_have_text(f"{grace.name} is typing…")
        edsger.write("n")
        expect(ada.typing_line).to_contain_text(" are typing…")
        grace.send("Yes")
        expect(ada.message("Yes")).to_be_visible()
        expect(ada.typing_line).not_to_contain_text(grace.name)


def test_typing_summary_replaces_the_line_and_its_end_clears_it(person: NewPerson) -> None:
    (ada, grace), chat = group(person, "Ada", "Grace")
    typists = [{"userId": str(number), "displayName": f"P{number}"} for number in (1, 2, 3)]

    def stands(*who: int, count: int) -> None:
        named = [typists[number - 1] for number in who]
        ada.wire.inject("typing.indicator", {"chatId": chat, "typists": named, "count": count})

    stands(1, 2, 3, count=500)
    expect(ada.typing_line).to_have_text("Several people are typing…")
    stands(1, 2, count=2)
    expect(ada.typing_line).to_have_text("P1 and P2 are typing…")
    stands(2, count=1)
    expect(ada.typing_line).to_have_text("P2 is typing…")
    stands(count=0)
    expect(ada.typing_line).to_have_text("")
    grace.write("y")
    expect(ada.typing_line).to_have_text(f"{grace.name} is typing…")
