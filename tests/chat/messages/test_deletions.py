"""Deletions for everyone and for oneself (F27 to F30, K32, K36)."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from chat.conversations import queries
from chat.frames import SyncRequest, Watermark
from chat.ids import MessageId
from chat.messages import deletions, edits, feed, history, reactions
from chat.models import Attachment, Hiding, Mention, Message, MessageVersion, Reaction
from chat.refusals import DeleteWindowClosed
from chat.sync import sync
from gateway.bus import Event
from gateway.errors import Forbidden, NotFound
from gateway.ids import ConversationId
from tests.chat import rows
from tests.chat.messages.test_edits import age
from tests.factories import Someone, direct, draft, group, say, someone, store


def test_deletion_leaves_only_a_tombstone(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    file = Attachment.objects.create(
        uploader_id=bob.id, name="a", size=1, mime_type="text/plain", key=f"k{bob.id}", status="ready"
    )
    (stored,) = store([draft(bob, chat, "secret @all", mentions=[str(ada.id)], attachments=[str(file.pk)])])
    answer = say(ada, chat, "said")
    Message.objects.filter(id=answer.id).update(reply_to=stored.id)
    reactions.add(ada.id, stored.id, "👍")
    told.clear()

    rev = deletions.delete(bob.id, stored.id)

    message = history.message_by_id(ada.viewer, stored.id)
    assert (message.status, message.deleted_by, message.rev) == ("deleted", str(bob.id), rev)
    assert (message.content, message.data, message.attachments, message.mentions, message.reactions) == (
        "", None, [], [], [],
    )  # fmt: skip
    assert not Mention.objects.filter(conversation_id=chat).exists()
    assert not Reaction.objects.filter(message_id=stored.id).exists()
    file.refresh_from_db()
    assert (file.status, file.message_id) == ("expired", None)
    quote = history.message_by_id(ada.viewer, answer.id).reply_to
    assert quote is not None and quote.excerpt == ""
    (frame,) = [msgspec.json.decode(event.frame) for event in told]
    assert (frame["type"], frame["payload"]) == ("message.deleted", {
        "chatId": str(chat), "messageId": str(stored.id), "seq": stored.seq, "rev": rev, "by": str(bob.id),
    })  # fmt: skip
    with pytest.raises(NotFound):
        edits.versions(bob.id, stored.id, limit=10)


def test_second_deletion_changes_nothing(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    stored = say(bob, chat)
    rev = deletions.delete(bob.id, stored.id)
    told.clear()

    assert (deletions.delete(bob.id, stored.id), deletions.delete(ada.id, stored.id)) == (rev, rev)
    assert (rows.counters(chat)[1], told) == (rev, [])
    assert history.message_by_id(ada.viewer, stored.id).deleted_by == str(bob.id)


def test_only_admins_delete_after_the_window(settings: Settings) -> None:
    ada, bob, cem, eve = (someone() for _ in range(4))
    chat = group(ada, bob, cem)
    early, late, last = say(bob, chat), say(bob, chat), say(bob, chat)
    age(early.id, 47.9)
    age(late.id, 48.1)
    age(last.id, 48.1)

    deletions.delete(bob.id, early.id)
    for who, refusal in ((bob, DeleteWindowClosed), (cem, Forbidden), (eve, NotFound)):
        with pytest.raises(refusal):
            deletions.delete(who.id, late.id)
    deletions.delete(ada.id, late.id)
    settings.LIMITS = replace(settings.LIMITS, delete_window=49 * 3600)
    deletions.delete(bob.id, last.id)

    assert history.message_by_id(cem.viewer, late.id).deleted_by == str(ada.id)


def test_deleted_text_is_purged_after_a_day() -> None:
    ada = someone()
    chat = group(ada)
    deleted, edited = say(ada, chat, "secret"), say(ada, chat, "one")
    edits.edit(ada.id, deleted.id, "more secret")
    edits.edit(ada.id, edited.id, "two")
    deletions.delete(ada.id, deleted.id)
    kept = MessageVersion.objects.filter(conversation_id=chat)

    deletions.purge()
    assert sorted(kept.values_list("content", flat=True)) == ["more secret", "one", "secret"]
    kept.filter(purge_at__isnull=False).update(purge_at=timezone.now() - timedelta(seconds=1))
    deletions.purge()
    deletions.purge()

    assert list(kept.values_list("content", flat=True)) == ["one"]


def test_deletion_for_oneself_hides_the_message_from_own_reads_only(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    first, second = say(ada, chat, "1"), say(ada, chat, "2")
    age(second.id, 1000)
    told.clear()

    deletions.hide(bob.id, second.id)
    deletions.hide(bob.id, second.id)

    assert seen(bob, chat) == [1] and seen(ada, chat) == [1, 2]
    with pytest.raises(NotFound):
        history.message_by_id(bob.viewer, second.id)
    listed = queries.conversation(bob.viewer, chat)
    assert (listed.unread_count, listed.last_message and listed.last_message.id) == (1, str(first.id))
    assert rows.counters(chat) == (2, second.rev), "what one sets for oneself makes no rev"
    (event,) = told
    frame = msgspec.json.decode(event.frame)
    assert (event.users, frame["type"], frame["payload"]["rev"]) == ([bob.id], "message.deleted", None)
    answer = sync.changes(bob.viewer, {chat: Watermark(seq=2, rev=second.rev)})
    assert [c.hidden for c in answer.chats] == [[str(second.id)]], "a device that was away learns it by sync"
    assert Hiding.objects.filter(conversation_id=chat).count() == 1


def test_device_unaware_of_a_deletion_syncs_from_the_deleted_message() -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    hidden, later = say(ada, chat, "1"), say(ada, chat, "2")
    deletions.hide(bob.id, hidden.id)

    wanted = SyncRequest(chat_id=str(chat), last_message_id=str(hidden.id))

    assert [m.id for m in sync.requested(bob.viewer, wanted).chats[0].messages] == [str(later.id)]
    with pytest.raises(NotFound):
        history.seq_of(bob.id, group(bob), hidden.id)


def seen(person: Someone, chat: int) -> list[int]:
    return [m.seq for m in history.page(person.viewer, ConversationId(chat), limit=100)[0].messages]


def test_change_of_a_message_deleted_for_oneself_is_not_published_to_that_user(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = direct(ada, bob)
    stored = say(ada, chat, "1")
    deletions.hide(bob.id, stored.id)
    told.clear()

    edits.edit(ada.id, stored.id, "2")

    assert [event.skip_users for event in told] == [[bob.id]]
    assert [event.skip_users for event in feed.between(chat, 0, 100) if event.rev > 1] == [[bob.id]]
    answer = sync.changes(bob.viewer, {chat: Watermark(seq=1, rev=2)})
    assert (answer.chats[0].messages, answer.chats[0].rev) == ([], 3)


def test_system_messages_and_invisible_messages_cannot_be_deleted() -> None:
    ada, eve = someone(), someone()
    chat = group(ada)
    stored = say(ada, chat)
    Message.objects.filter(id=stored.id).update(content_type="system")

    with pytest.raises(Forbidden):
        deletions.delete(ada.id, stored.id)
    for who, message in ((eve, stored.id), (ada, 1)):
        with pytest.raises(NotFound):
            deletions.hide(who.id, MessageId(message))
