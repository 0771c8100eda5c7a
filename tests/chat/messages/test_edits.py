"""Edits: by the author, within the window, with versions; and what they do to mentions (F25, F26, F29)."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import blocks
from chat.conversations import members, queries
from chat.ids import MessageId
from chat.messages import deletions, edits, history
from chat.models import Mention, Message, MessageVersion
from chat.refusals import EditWindowClosed, NotAMember, ReadOnly
from gateway.bus import Event
from gateway.errors import Conflict, ContentTooLong, Forbidden, InvalidPayload, NotFound, RateLimited
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, direct, draft, group, say, someone, store


def said(person: Someone, message_id: MessageId) -> tuple[str, str, int]:
    """Return what a person reads of a message: words, status, version."""
    message = history.message_by_id(person.viewer, message_id)
    return message.content, message.status, message.version


def age(message_id: MessageId, hours: float) -> None:
    """Make a message so old."""
    Message.objects.filter(id=message_id).update(created_at=timezone.now() - timedelta(hours=hours))


def test_edit_is_published_and_keeps_the_previous_version(told: list[Event]) -> None:
    ada, bob = someone("Ada"), someone("Bob")
    chat = direct(ada, bob)
    stored = say(ada, chat, "frist")
    told.clear()

    edited = edits.edit(ada.id, stored.id, "first")
    again = edits.edit(ada.id, stored.id, "the first")

    assert (edited.version, edited.rev, again.version, again.rev) == (2, stored.rev + 1, 3, stored.rev + 2)
    assert rows.counters(chat) == (1, again.rev)
    assert said(bob, stored.id) == ("the first", "edited", 3)
    frames = [msgspec.json.decode(event.frame) for event in told]
    assert [(f["type"], f["payload"]["message"]["content"], f["payload"]["message"]["rev"]) for f in frames] == [
        ("message.updated", "first", edited.rev), ("message.updated", "the first", again.rev),
    ]  # fmt: skip
    assert frames[-1]["payload"]["message"]["editedAt"] is not None
    kept = edits.versions(bob.id, stored.id, limit=10)
    assert [(v.version, v.content) for v in kept.versions] == [(3, "the first"), (2, "first"), (1, "frist")]
    assert kept.next is None


def test_versions_are_paged_and_need_visibility_of_the_message() -> None:
    ada, bob, eve = someone(), someone(), someone()
    stored = say(ada, direct(ada, bob), "1")
    for n in range(2, 6):
        edits.edit(ada.id, stored.id, str(n))

    first = edits.versions(bob.id, stored.id, limit=2)
    second = edits.versions(bob.id, stored.id, below=first.next, limit=2)
    last = edits.versions(bob.id, stored.id, below=second.next, limit=2)

    assert [[v.content for v in page.versions] for page in (first, second, last)] == [["5", "4"], ["3", "2"], ["1"]]
    assert last.next is None
    with pytest.raises(NotFound):
        edits.versions(eve.id, stored.id, limit=2)


def test_stale_version_is_a_conflict_and_unchanged_text_is_no_edit(told: list[Event]) -> None:
    ada = someone()
    chat = direct(ada, someone())
    stored = say(ada, chat, "one")
    edited = edits.edit(ada.id, stored.id, "two", version=1)
    told.clear()

    assert edits.edit(ada.id, stored.id, "two", version=2) == edited
    with pytest.raises(Conflict) as refused:
        edits.edit(ada.id, stored.id, "three", version=1)

    assert refused.value.field == "version"
    assert said(ada, stored.id)[0] == "two"
    assert (rows.counters(chat), told) == ((1, edited.rev), [])
    assert MessageVersion.objects.filter(message_id=stored.id).count() == 1


def test_edit_needs_the_author_and_a_text_message() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = group(ada, bob)
    stored = say(bob, chat)
    (place,) = store([draft(bob, chat, "", content_type="location", data={"latitude": 1, "longitude": 2})])
    gone = say(bob, chat)
    deletions.delete(bob.id, gone.id)

    for who, message, refusal in (
        (ada, stored.id, Forbidden), (eve, stored.id, NotFound), (bob, place.id, Forbidden), (bob, gone.id, NotFound),
        (bob, 1, NotFound),
    ):  # fmt: skip
        with pytest.raises(refusal):
            edits.edit(who.id, MessageId(message), "mine")
    for content, wrong in (
        ("", InvalidPayload),
        (" ", InvalidPayload),
        ("a\0b", InvalidPayload),
        ("x" * 10_001, ContentTooLong),
    ):
        with pytest.raises(wrong):
            edits.edit(bob.id, stored.id, content)
    members.remove(ada.id, chat, bob.id)
    with pytest.raises(NotAMember):
        edits.edit(bob.id, stored.id, "mine")


def test_edit_needs_the_right_to_write() -> None:
    ada, bob = someone(), someone()
    chat = group(bob, ada)
    stored = say(bob, chat)
    rows.change(chat, {"kind": "broadcast"})
    edits.edit(bob.id, stored.id, "as its owner")
    other = say(ada, group(ada))
    Message.objects.filter(id=other.id).update(conversation_id=chat, seq=2)

    with pytest.raises(ReadOnly):
        edits.edit(ada.id, other.id, "as a reader")


def test_edit_after_the_window_is_refused(settings: Settings) -> None:
    ada = someone()
    stored = say(ada, direct(ada, someone()))
    age(stored.id, 47.9)
    edits.edit(ada.id, stored.id, "in time")
    age(stored.id, 48.1)

    with pytest.raises(EditWindowClosed):
        edits.edit(ada.id, stored.id, "too late")
    settings.LIMITS = replace(settings.LIMITS, edit_window=49 * 3600)
    edits.edit(ada.id, stored.id, "the window is as long as its number says")


def test_changes_are_limited_per_minute(settings: Settings) -> None:
    ada = someone()
    stored = say(ada, direct(ada, someone()))
    settings.LIMITS = replace(settings.LIMITS, changes_per_minute=2)
    edits.edit(ada.id, stored.id, "1")
    deletions.delete(ada.id, stored.id)

    for change in (lambda: edits.edit(ada.id, stored.id, "2"), lambda: deletions.hide(ada.id, stored.id)):
        with pytest.raises(RateLimited):
            change()


def mentioned(person: Someone, chat: int) -> int:
    """Return a person's count of unread mentions."""
    return queries.conversation(person.viewer, ConversationId(chat)).mention_count


def test_edit_replaces_the_mentions() -> None:
    ada, bob, cem, eve = (someone() for _ in range(4))
    chat = group(ada, bob, cem)
    (stored,) = store([draft(ada, chat, "@bob", mentions=[str(bob.id)])])
    edits.edit(ada.id, stored.id, "@bob!")
    assert (mentioned(bob, chat), mentioned(cem, chat)) == (1, 0)

    edits.edit(ada.id, stored.id, "@cem", mentions=[cem.id, eve.id, ada.id, cem.id])

    assert (mentioned(bob, chat), mentioned(cem, chat), mentioned(ada, chat)) == (0, 1, 0)
    assert list(Mention.objects.filter(conversation_id=chat).values_list("user_id", flat=True)) == [cem.id]
    edits.edit(ada.id, stored.id, "@cem", mentions=[])
    assert mentioned(cem, chat) == 0
    with pytest.raises(InvalidPayload):
        edits.edit(ada.id, stored.id, "many", mentions=list(range(101)))


def test_mentions_by_blocked_users_are_not_counted() -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    stored = say(ada, chat)
    blocks.block(bob.id, ada.id)

    edits.edit(ada.id, stored.id, "@bob", mentions=[bob.id])
    store([draft(ada, chat, "@bob", mentions=[str(bob.id)])])

    assert mentioned(bob, chat) == 0
    blocks.unblock(bob.id, ada.id)
    assert mentioned(bob, chat) == 2


def test_edit_reevaluates_the_everyone_mention(many: list[Someone]) -> None:
    ada, bob = someone(), someone()
    small, large = group(ada, bob), group(ada, bob, *many[:19])
    mine, other, owners = say(bob, small), say(bob, large), say(ada, large)

    edits.edit(bob.id, mine.id, "@all see this")
    assert mentioned(ada, small) == 1
    assert history.message_by_id(ada.viewer, mine.id).mentions_all is True
    edits.edit(bob.id, mine.id, "`@all` is how to call")
    assert mentioned(ada, small) == 0
    with pytest.raises(Forbidden):
        edits.edit(bob.id, other.id, "@all see this")
    edits.edit(ada.id, owners.id, "@here see this")
    assert mentioned(bob, large) == 1


def test_edit_by_blocked_user_in_direct_chat_is_silently_dropped(told: list[Event]) -> None:
    """Else an old message would carry new words past the block."""
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    before = say(bob, chat, "before")
    blocks.block(ada.id, bob.id)
    hidden = say(bob, chat, "hidden")
    told.clear()

    assert edits.edit(bob.id, before.id, "past the block").version == 1
    assert edits.edit(bob.id, hidden.id, "what nobody else sees").version == 2

    assert said(ada, before.id)[0] == "before"
    assert [ada.id in event.skip_users for event in told] == [True]
    with pytest.raises(NotFound):
        said(ada, hidden.id)
