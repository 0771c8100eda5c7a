"""What a member sets for themself: it makes no rev, their own devices learn of it, and nobody else does."""

from datetime import UTC, datetime, timedelta
from datetime import timezone as offset

import msgspec
import pytest
from django.utils import timezone

from chat.conversations import members, preferences, queries
from chat.frames import Watermark
from chat.models import ConversationDraft
from chat.refusals import NotAMember
from chat.sync import sync
from gateway.bus import Event
from gateway.errors import ContentTooLong, InvalidPayload
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.factories import Someone, direct, draft, group, say, someone, store

UNTIL = datetime(2030, 1, 1, tzinfo=UTC)


def listed(person: Someone, *, archived: bool = False) -> list[int]:
    return [int(c.id) for c in queries.conversation_list(person.viewer, archived=archived).conversations]


def test_all_preferences_are_set_at_once_and_published_to_own_devices(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    before = rows.counters(chat)
    told.clear()

    wanted = {"muted_until": UNTIL, "pinned": True, "archived": True, "marked_unread": True, "draft": "I w"}
    seen = preferences.change(ada.id, chat, wanted)

    assert (seen.muted_until, seen.pinned, seen.archived, seen.marked_unread, seen.draft) == (
        "2030-01-01T00:00:00.000Z", True, True, True, "I w",
    )  # fmt: skip
    (event,) = told
    frame = msgspec.json.decode(event.frame)
    assert (event.users, frame["type"], frame["payload"]["chat"]["draft"]) == ([ada.id], "chat.updated", "I w")
    assert "rev" not in frame["payload"]
    assert rows.counters(chat) == before
    theirs = queries.conversation(bob.viewer, chat)
    assert (theirs.muted_until, theirs.pinned, theirs.archived, theirs.marked_unread, theirs.draft) == (
        None, False, False, False, None,
    )  # fmt: skip


def test_chat_can_be_muted_until_a_far_date() -> None:
    ada = someone()
    chat = group(ada)

    seen = preferences.change(ada.id, chat, {"muted_until": datetime.max.replace(tzinfo=UTC)})

    assert seen.muted_until == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    "until",
    [
        datetime(2030, 1, 1),
        datetime.max.replace(tzinfo=offset(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=offset(timedelta(hours=1))),
        datetime.min.replace(tzinfo=UTC),
    ],
)
def test_unrepresentable_mute_time_is_refused(until: datetime) -> None:
    ada = someone()
    chat = group(ada)

    with pytest.raises(InvalidPayload) as fault:
        preferences.change(ada.id, chat, {"muted_until": until})

    assert fault.value.field == "mutedUntil"
    assert queries.conversation(ada.viewer, chat).muted_until is None


def test_all_preferences_can_be_reset() -> None:
    ada = someone()
    chat = group(ada)
    preferences.change(ada.id, chat, {"muted_until": UNTIL, "pinned": True, "archived": True, "draft": "x"})

    seen = preferences.change(ada.id, chat, {"muted_until": None, "pinned": False, "archived": False, "draft": ""})

    assert (seen.muted_until, seen.pinned, seen.archived, seen.draft) == (None, False, False, None)
    assert not ConversationDraft.objects.filter(conversation_id=chat).exists()


def test_pinned_chats_come_first_across_pages() -> None:
    """F34."""
    ada = someone()
    chats = [group(ada) for _ in range(5)]
    for chat in chats:
        say(ada, chat)
    preferences.change(ada.id, chats[0], {"pinned": True})
    preferences.change(ada.id, chats[2], {"pinned": True})

    found, after = [], None
    while True:
        page = queries.conversation_list(ada.viewer, after=after, limit=1)
        found += [int(c.id) for c in page.conversations]
        if (after := page.next) is None:
            break

    assert found == [chats[2], chats[0], chats[4], chats[3], chats[1]]


def test_archived_chat_stays_archived_after_a_new_message() -> None:
    ada, bob = someone(), someone()
    one, other = direct(ada, bob), group(ada, bob)
    preferences.change(ada.id, one, {"archived": True})

    say(bob, one)

    assert (listed(ada), listed(ada, archived=True)) == ([other], [one])
    assert queries.conversation(ada.viewer, one).unread_count == 1


def test_reading_or_writing_clears_marked_as_unread(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    said = say(bob, chat)
    record_marks([Mark(ada.id, chat, 0, said.seq)])

    def marked() -> bool:
        preferences.change(ada.id, chat, {"marked_unread": True})
        told.clear()
        return queries.conversation(ada.viewer, chat).marked_unread

    assert marked()
    record_marks([Mark(ada.id, chat, said.seq, 0)])
    assert queries.conversation(ada.viewer, chat).marked_unread, "delivered is not read"
    record_marks([Mark(ada.id, chat, 0, said.seq)])
    assert not queries.conversation(ada.viewer, chat).marked_unread
    assert [event.users for event in told] == [[ada.id]], "nothing has moved for anybody else"
    assert marked()
    say(ada, chat)
    assert not queries.conversation(ada.viewer, chat).marked_unread


def test_preferences_need_membership_and_end_with_it() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    preferences.change(bob.id, chat, {"pinned": True})

    members.remove(bob.id, chat, bob.id)
    with pytest.raises(NotAMember):
        preferences.change(bob.id, chat, {"pinned": True})
    members.add(ada.id, chat, bob.id)

    assert not queries.conversation(bob.viewer, chat).pinned


def test_draft_has_the_length_limit_of_a_message() -> None:
    ada = someone()
    chat = group(ada)

    preferences.change(ada.id, chat, {"draft": "x" * 10_000})
    for text, refusal in (("x" * 10_001, ContentTooLong), ("a\0", InvalidPayload), ("\ud800", InvalidPayload)):
        with pytest.raises(refusal):
            preferences.change(ada.id, chat, {"draft": text})
    with pytest.raises(InvalidPayload):
        preferences.change(ada.id, chat, {"muted_until": datetime(2030, 1, 1)})

    assert queries.conversation(ada.viewer, chat).draft == "x" * 10_000
    assert store([draft(ada, chat)])[0].outcome == "stored"


def test_offline_device_learns_of_a_deletion_for_oneself_by_sync_and_resume() -> None:
    ada, bob = someone(), someone()
    chat, other = direct(ada, bob), group(ada)
    said = say(bob, chat)
    held: dict[int, Watermark] = {chat: Watermark(seq=said.seq, rev=said.rev), other: Watermark(seq=0, rev=1)}
    since = timezone.now()

    preferences.change(ada.id, chat, {"draft": "I w", "pinned": True})

    (brought,) = [part.chat for part in sync.changes(ada.viewer, held).chats if part.chat is not None]
    assert (brought.id, brought.draft, brought.pinned) == (str(chat), "I w", True)
    frames = [msgspec.json.decode(frame) for frame in sync.replay(ada.viewer, since) or []]
    assert [(f["type"], f["payload"]["chat"]["draft"]) for f in frames] == [("chat.updated", "I w")]
    assert all(part.chat is None for part in sync.changes(bob.viewer, {chat: held[chat]}).chats)
