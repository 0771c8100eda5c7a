"""Reactions: one emoji of a person once, summed up in the message (F21, F22)."""

from dataclasses import replace

import msgspec
import pytest
from pytest_django.fixtures import Settings

from accounts import blocks
from chat.ids import MessageId
from chat.messages import deletions, history, reactions
from chat.models import Reaction
from gateway.bus import Event
from gateway.errors import InvalidPayload, NotFound
from gateway.ids import UserId
from tests.chat import rows
from tests.factories import Someone, direct, group, say, someone

FAMILY, FLAG, KEYCAP, HEART = "👩‍👩‍👧", "🇩🇪", "1️⃣", "❤️"


def shown(person: Someone, message_id: MessageId) -> list[tuple[str, int, list[str]]]:
    """Return the reactions that a person reads at a message."""
    found = history.message_by_id(person.viewer, message_id).reactions
    return [(entry["emoji"], entry["count"], entry["userIds"]) for entry in found]


def test_reaction_is_added_once_and_removed(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    stored = say(ada, chat)
    told.clear()

    for who, emoji in ((bob, "👍"), (ada, HEART), (ada, "👍"), (bob, "👍")):
        reactions.add(who.id, stored.id, emoji)
    both = shown(bob, stored.id)
    reactions.remove(bob.id, stored.id, "👍")
    reactions.remove(bob.id, stored.id, "👍")
    last = reactions.remove(ada.id, stored.id, "👍")

    assert both == [("👍", 2, [str(bob.id), str(ada.id)]), (HEART, 1, [str(ada.id)])]
    assert shown(bob, stored.id) == [(HEART, 1, [str(ada.id)])]
    assert last.reactions == [{"emoji": HEART, "count": 1, "userIds": [str(ada.id)]}]
    frames = [msgspec.json.decode(event.frame) for event in told]
    assert [(f["type"], f["payload"]["rev"]) for f in frames] == [
        ("message.reaction", stored.rev + n) for n in range(1, 6)
    ]
    assert frames[2]["payload"]["reactions"][0] == {"emoji": "👍", "count": 2, "userIds": [str(bob.id), str(ada.id)]}
    assert rows.counters(chat) == (1, stored.rev + 5), "what changes nothing makes no rev"
    assert history.message_by_id(ada.viewer, stored.id).status == "active", "a reaction is no edit"


def test_reaction_is_stored_with_a_rev_before_its_ack() -> None:
    ada = someone()
    chat = group(ada)
    stored = say(ada, chat)

    reacted = reactions.add(ada.id, stored.id, "👍")

    assert list(Reaction.objects.filter(message_id=stored.id).values_list("user_id", "emoji")) == [(ada.id, "👍")]
    assert rows.counters(chat)[1] == reacted.rev == stored.rev + 1


@pytest.mark.parametrize(
    "emoji", ["👍", "👍🏽", HEART, "❤", FAMILY, FLAG, KEYCAP, "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏳️‍🌈", "😀", "🫨", "☺️", "©️", "🅰️"]
)
def test_single_emoji_is_accepted(emoji: str) -> None:
    reactions.check(emoji)


@pytest.mark.parametrize(
    "text",
    ["", " ", "a", "ok", "1", "👍👍", "👍 ", "👍a", ":thumbsup:", "\0", "\ud83d", "\u200d", "\ufe0f", "🇩", "é", "中", "<b>",
     "👍" + "\u200d👍" * 40, "𝐚", "!"],
)  # fmt: skip
def test_text_is_refused_as_a_reaction(text: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        reactions.add(UserId(1), MessageId(1), text)

    assert refused.value.field == "emoji"


def test_message_has_a_limit_of_different_emoji(settings: Settings) -> None:
    ada, bob = someone(), someone()
    stored = say(ada, group(ada, bob))
    for n in range(20):
        reactions.add(ada.id, stored.id, chr(0x1F600 + n))

    with pytest.raises(InvalidPayload):
        reactions.add(bob.id, stored.id, "👍")
    reactions.add(bob.id, stored.id, chr(0x1F600))
    settings.LIMITS = replace(settings.LIMITS, max_reactions=21)
    reactions.add(bob.id, stored.id, "👍")

    assert len(shown(ada, stored.id)) == 21


def test_reaction_summary_names_fifty_users_and_pages_list_all(many: list[Someone]) -> None:
    ada = someone("Ada")
    stored = say(ada, group(ada, *many[:60]))
    for person in many[:60]:
        reactions.add(person.id, stored.id, "👍")
    reactions.add(ada.id, stored.id, HEART)

    (thumbs, _) = shown(ada, stored.id)
    found, after = [], 0
    while True:
        page = reactions.people(ada.id, stored.id, emoji="👍", after=after, limit=25)
        found += [who.user_id for who in page.people]
        if page.next is None:
            break
        after = page.next

    assert thumbs == ("👍", 60, [str(person.id) for person in many[:50]])
    assert found == [person.id for person in many[:60]]
    everything = reactions.people(ada.id, stored.id, limit=100).people
    assert [(who.emoji, who.display_name) for who in everything[-1:]] == [(HEART, "Ada")]


def test_reaction_needs_a_visible_live_message() -> None:
    ada, eve = someone(), someone()
    stored, gone = (say(ada, chat) for chat in [group(ada)] * 2)
    deletions.delete(ada.id, gone.id)

    for who, message in ((eve, stored.id), (ada, gone.id), (ada, 1)):
        for act in (reactions.add, reactions.remove):
            with pytest.raises(NotFound):
                act(who.id, MessageId(message), "👍")
    with pytest.raises(NotFound):
        reactions.people(eve.id, stored.id, limit=10)


def test_change_of_a_message_from_before_a_block_is_published_to_both(told: list[Event]) -> None:
    """Both may read it still; the other devices of whoever changed it too."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    stored = say(bob, chat)
    blocks.block(ada.id, bob.id)
    told.clear()

    reactions.add(ada.id, stored.id, "👍")
    deletions.delete(bob.id, stored.id)

    assert [(bool(event.rev), event.skip_users) for event in told] == [(True, []), (True, [])]


def test_reaction_by_blocked_user_in_direct_chat_is_silently_dropped(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    stored = say(ada, chat)
    blocks.block(ada.id, bob.id)
    told.clear()

    assert reactions.add(bob.id, stored.id, "👍").rev == stored.rev
    assert (shown(ada, stored.id), told) == ([], [])
    blocks.unblock(ada.id, bob.id)
    reactions.add(bob.id, stored.id, "👍")
    assert shown(ada, stored.id) == [("👍", 1, [str(bob.id)])]
