"""What was said while somebody was not there stays unseen where a conversation does not share its history (F36, K40, K44):
in history, sync, by id, in threads and quotes, and live, through a second coming too.
"""

from typing import NamedTuple

import pytest

from chat.conversations import conversations, members
from chat.drafts import Stored
from chat.frames import Message, Watermark
from chat.messages import edits, history, reactions, threads
from chat.sync import sync
from gateway.bus import Event
from gateway.errors import NotFound
from gateway.ids import ConversationId
from tests.factories import Someone, draft, group, say, someone, store


class Stage(NamedTuple):
    """Ada was always there; Bob came, went, and came back. What was said while he was away is not for him."""

    ada: Someone
    bob: Someone
    chat: int
    unseen: list[Stored]
    seen: list[Stored]


@pytest.fixture
def stage() -> Stage:
    ada, bob = someone(), someone()
    chat = group(ada, someone())
    conversations.change(ada.id, chat, {"shares_history": False})
    unseen, seen = [], []
    for n in range(2):
        unseen.append(say(ada, chat, f"without {n}"))
        members.add(ada.id, chat, bob.id)
        seen.append(say(ada, chat, f"with {n}"))
        if n == 0:
            members.remove(ada.id, chat, bob.id)
    return Stage(ada, bob, chat, unseen, seen)


def texts(messages: list[Message]) -> list[str]:
    return [m.content for m in messages if m.content_type == "text"]


def test_membership_gaps_are_hidden_in_history_sync_and_single_messages(stage: Stage) -> None:
    _, bob, chat, unseen, seen = stage

    assert texts(history.page(bob.viewer, ConversationId(chat), limit=50)[0].messages) == ["with 0", "with 1"]
    for watermark in (Watermark(seq=0), Watermark(seq=seen[0].seq, rev=seen[0].rev)):
        (part,) = sync.changes(bob.viewer, {chat: watermark}).chats
        assert set(texts(part.messages)) <= {"with 0", "with 1"}
        assert "with 1" in texts(part.messages)
    for message in unseen:
        with pytest.raises(NotFound):
            history.message_by_id(bob.viewer, message.id)
    assert [history.message_by_id(bob.viewer, message.id).content for message in seen] == ["with 0", "with 1"]


def test_threads_and_quotes_hide_a_message_deleted_for_oneself(stage: Stage) -> None:
    ada, bob, chat, unseen, _ = stage
    say_reply(ada, chat, unseen[1], "about what he did not see")

    with pytest.raises(NotFound):
        threads.replies(bob.viewer, unseen[1].id, limit=10)
    last = history.page(bob.viewer, ConversationId(chat), limit=1)[0].messages[0]
    assert (last.content, last.reply_to) == ("about what he did not see", None)
    (refused,) = store([draft(bob, ConversationId(chat), "and?", reply_to=str(unseen[1].id))])
    assert refused.outcome == "NOT_FOUND"
    with pytest.raises(NotFound):
        reactions.add(bob.id, unseen[1].id, "👍")


def test_change_of_an_old_message_is_published_to_its_receivers(stage: Stage, told: list[Event]) -> None:
    ada, bob, chat, unseen, seen = stage

    edits.edit(ada.id, unseen[1].id, "other words")
    edits.edit(ada.id, seen[1].id, "other words too")

    assert [event.joined_before for event in told if event.rev] == [unseen[1].seq, seen[1].seq]
    assert "other words" not in texts(history.page(bob.viewer, ConversationId(chat), limit=50)[0].messages)
    (part,) = sync.changes(bob.viewer, {chat: Watermark(seq=seen[1].seq, rev=seen[1].rev)}).chats
    assert texts(part.messages) == ["other words too"]


@pytest.mark.parametrize("shared", [True, False])
def test_former_member_does_not_see_later_edits(shared: bool) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    conversations.change(ada.id, chat, {"shares_history": shared})
    stays, early, late = (say(ada, chat, text) for text in ("stays", "early", "late"))
    edits.edit(ada.id, early.id, "edited before")
    members.remove(ada.id, chat, bob.id)
    edits.edit(ada.id, late.id, "edited after")

    assert [history.message_by_id(bob.viewer, m.id).content for m in (stays, early)] == ["stays", "edited before"]
    with pytest.raises(NotFound):
        history.message_by_id(bob.viewer, late.id)
    with pytest.raises(NotFound):
        edits.versions(bob.id, late.id, limit=10)
    members.add(ada.id, chat, bob.id)
    last = [m.content for m in history.page(bob.viewer, chat, limit=50)[0].messages if m.seq == late.seq]
    assert last == (["edited after"] if shared else [])


def test_sharing_history_again_shows_all_of_it(stage: Stage) -> None:
    ada, bob, chat, _, _ = stage

    conversations.change(ada.id, ConversationId(chat), {"shares_history": True})

    assert texts(history.page(bob.viewer, ConversationId(chat), limit=50)[0].messages) == [
        "without 0",
        "with 0",
        "without 1",
        "with 1",
    ]


def say_reply(person: Someone, chat: int, to: Stored, text: str) -> Stored:
    (stored,) = store([draft(person, ConversationId(chat), text, reply_to=str(to.id))])
    assert stored.outcome == "stored"
    return stored
