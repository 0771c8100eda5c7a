"""Polls: votes, changed and taken back, secret or not; and their end (F11)."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from accounts import blocks
from chat.conversations import members
from chat.ids import MessageId
from chat.messages import deletions, edits, history, polls
from chat.models import Message, Vote
from chat.refusals import NotAMember, ReadOnly
from gateway.bus import Event
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import ConversationId
from tests.chat import rows
from tests.factories import Someone, direct, draft, group, say, someone, store


def asked(author: Someone, chat: int, **more: Any) -> int:
    """Send a poll with three options and return its id."""
    data = {"question": "When?", "options": ["a", "b", "c"], **more}
    return store([draft(author, ConversationId(chat), "", content_type="poll", data=data)])[0].id


def counts(viewer: Someone, poll: int) -> list[int]:
    """Return the votes of each option as a viewer reads them."""
    return [option["count"] for option in history.message_by_id(viewer.viewer, MessageId(poll)).data["options"]]


def test_votes_are_counted_changed_and_withdrawn(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    poll = asked(ada, chat)
    before = rows.counters(chat)[1]

    seen = []
    for who, options in ((ada, [0]), (bob, [0]), (bob, [2]), (bob, [2]), (ada, [])):
        polls.vote(who.id, MessageId(poll), options)
        seen.append(counts(bob, poll))

    assert seen == [[1, 0, 0], [2, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0, 1]]
    assert rows.counters(chat)[1] == before + 4, "the same choice again is no change"
    frames = [msgspec.json.decode(event.frame) for event in told if b"message.updated" in event.frame]
    assert [f["payload"]["message"]["rev"] for f in frames] == [before + n for n in range(1, 5)]
    assert frames[1]["payload"]["message"]["data"]["options"][0] == {
        "text": "a", "count": 2, "userIds": [str(ada.id), str(bob.id)],
    }  # fmt: skip
    assert history.message_by_id(ada.viewer, MessageId(poll)).status == "active", "a vote is no edit"


def test_single_choice_poll_refuses_several_options() -> None:
    ada = someone()
    chat = group(ada)
    one, many = asked(ada, chat), asked(ada, chat, multiple=True)

    polls.vote(ada.id, MessageId(many), [2, 0])
    assert counts(ada, many) == [1, 0, 1]
    for poll, options in ((one, [0, 1]), (one, [3]), (one, [-1]), (many, [1, 1])):
        with pytest.raises(InvalidPayload) as refused:
            polls.vote(ada.id, MessageId(poll), options)
        assert refused.value.field == "options"


def test_voters_are_listed_unless_the_poll_is_anonymous() -> None:
    ada, bob, eve = someone("Ada"), someone("Bob"), someone()
    chat = group(ada, bob)
    shown, secret = asked(ada, chat, multiple=True), asked(ada, chat, anonymous=True)
    for poll in (shown, secret):
        polls.vote(ada.id, MessageId(poll), [1])
        polls.vote(bob.id, MessageId(poll), [0])

    page = polls.ballots(bob.id, MessageId(shown), limit=1)
    rest = polls.ballots(bob.id, MessageId(shown), after=page.next or 0, limit=1)
    assert [(b.option, b.display_name) for b in page.ballots + rest.ballots] == [(1, "Ada"), (0, "Bob")]
    assert (page.mine, rest.next) == ([0], None)
    hidden = polls.ballots(bob.id, MessageId(secret), limit=10)
    assert (hidden.mine, hidden.ballots) == ([0], [])
    assert history.message_by_id(bob.viewer, MessageId(secret)).data["options"][0] == {"text": "a", "count": 1}
    for viewer, message in ((eve, shown), (bob, say(ada, chat).id)):
        with pytest.raises(NotFound):
            polls.ballots(viewer.id, MessageId(message), limit=10)


def test_closed_poll_refuses_votes() -> None:
    ada, bob, cem = someone(), someone(), someone()
    chat = group(ada, bob, cem)
    poll = asked(bob, chat)
    polls.vote(cem.id, MessageId(poll), [1])

    with pytest.raises(Forbidden):
        polls.close(cem.id, MessageId(poll))
    closed = polls.close(ada.id, MessageId(poll))
    assert polls.close(bob.id, MessageId(poll)) == closed

    assert closed.data["closed"] is True
    assert counts(cem, poll) == [0, 1, 0]
    for options in ([0], []):
        with pytest.raises(ReadOnly):
            polls.vote(cem.id, MessageId(poll), options)


def test_poll_closes_at_its_closing_time() -> None:
    ada = someone()
    poll = asked(ada, group(ada), closesAt=(timezone.now() + timedelta(hours=1)).isoformat())
    polls.vote(ada.id, MessageId(poll), [0])
    over = (timezone.now() - timedelta(seconds=1)).isoformat()
    data = {**history.message_by_id(ada.viewer, MessageId(poll)).data, "closesAt": over}
    Message.objects.filter(id=poll).update(data=data)

    with pytest.raises(ReadOnly):
        polls.vote(ada.id, MessageId(poll), [1])


def test_vote_needs_membership_and_a_poll() -> None:
    ada, bob, eve = someone(), someone(), someone()
    chat = group(ada, bob)
    poll, text = asked(ada, chat), say(ada, chat).id
    gone = asked(ada, chat)
    polls.vote(bob.id, MessageId(gone), [0])
    deletions.delete(ada.id, MessageId(gone))
    assert not Vote.objects.filter(message_id=gone).exists()

    for who, message in ((eve, poll), (bob, text), (bob, gone), (bob, 1)):
        with pytest.raises(NotFound):
            polls.vote(who.id, MessageId(message), [0])
        with pytest.raises(NotFound):
            polls.close(who.id, MessageId(message))
    with pytest.raises(Forbidden):
        edits.edit(ada.id, MessageId(poll), "another question")
    members.remove(ada.id, chat, bob.id)
    with pytest.raises(NotAMember):
        polls.vote(bob.id, MessageId(poll), [0])


def test_vote_by_blocked_user_in_direct_chat_is_silently_dropped(told: list[Event]) -> None:
    ada, bob = someone(), someone()
    poll = asked(ada, direct(ada, bob))
    blocks.block(ada.id, bob.id)
    told.clear()

    polls.vote(bob.id, MessageId(poll), [0])

    assert (counts(ada, poll), told) == ([0, 0, 0], [])
