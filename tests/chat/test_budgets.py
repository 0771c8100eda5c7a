"""Query budgets: history, list, send, sync and changes cost as many queries at 2 members as at 1,000 (style 14)."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.conversations import queries
from chat.frames import Watermark
from chat.ids import MessageId
from chat.messages import deletions, edits, feed, history, ingest, polls, reactions
from chat.models import Member
from chat.sync import sync
from gateway.bus import Event
from gateway.ids import ConversationId
from tests.factories import Someone, crowd, draft, group, someone, store

EVERYONE = 1000
# What stands around a transaction asks nothing.
FRAMES = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


class Place(NamedTuple):
    """A conversation with messages that are quoted, mention, have reactions, were edited and deleted; and a poll."""

    owner: Someone
    reader: Someone
    chat: int
    old: int
    rev: int
    poll: int


@pytest.fixture(scope="module")
def places(open_database: None) -> Iterator[list[Place]]:
    """One of 2 members, one of 1,000."""
    yield [place([]), place(crowd(EVERYONE - 2))]


def place(others: list[Someone]) -> Place:
    owner, reader = someone("Owner"), someone("Reader")
    chat = group(owner, reader, *others)
    assert Member.objects.filter(conversation_id=chat).count() == len(others) + 2
    mentions = [str(person.id) for person in [reader, *others][:50]]
    sent = store([draft(owner, chat, f"{n} @all", mentions=mentions) for n in range(30)])
    store([draft(reader, chat, "quoting", reply_to=str(sent[0].id))])
    data = {"question": "?", "options": ["a", "b"]}
    poll = store([draft(owner, chat, "", content_type="poll", data=data)])[0]
    for person in [reader, *others][:25]:
        reactions.add(person.id, sent[1].id, "👍")
        polls.vote(person.id, poll.id, [0])
    edits.edit(owner.id, sent[2].id, "edited", mentions=[reader.id])
    deletions.delete(owner.id, sent[3].id)
    return Place(owner, reader, chat, sent[4].id, sent[5].rev, poll.id)


READS: dict[str, tuple[Callable[[Place], Any], int]] = {
    "history": (lambda at: history.page(at.reader.viewer, ConversationId(at.chat), limit=50), 3),
    "list": (lambda at: queries.conversation_list(at.reader.viewer), 3),
    "one conversation": (lambda at: queries.conversation(at.reader.viewer, ConversationId(at.chat)), 3),
    "unread counts": (lambda at: queries.unread(at.reader.id), 1),
    "sync from the start": (lambda at: sync.changes(at.reader.viewer, {at.chat: Watermark(seq=0)}), 8),
    "sync of what changed": (lambda at: sync.changes(at.reader.viewer, {at.chat: Watermark(seq=30, rev=at.rev)}), 8),
    "a gap": (lambda at: feed.between(ConversationId(at.chat), at.rev, at.rev + 500), 2),
}
WRITES: dict[str, tuple[Callable[[Place], Any], int]] = {
    "send": (
        lambda at: ingest.store_within(draft(at.owner, ConversationId(at.chat), "@all", mentions=[str(at.reader.id)])),
        1,
    ),
    "edit": (lambda at: edits.edit(at.owner.id, MessageId(at.old), f"edited {at.owner.id}", mentions=[]), 9),
    "reaction": (lambda at: reactions.add(at.reader.id, MessageId(at.old), "🎉"), 7),
    "vote": (lambda at: polls.vote(at.reader.id, MessageId(at.poll), [1]), 10),
    "deletion for oneself": (lambda at: deletions.hide(at.reader.id, MessageId(at.old)), 5),
    "deletion": (lambda at: deletions.delete(at.owner.id, MessageId(at.old)), 12),
}


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_query_count_is_constant_for_many_members(places: list[Place], name: str, told: list[Event]) -> None:
    act, most = {**READS, **WRITES}[name]
    costs = []
    for at in places:
        with CaptureQueriesContext(connection) as executed:
            act(at)
        costs.append([query["sql"] for query in executed if not query["sql"].startswith(FRAMES)])

    assert len(costs[0]) == len(costs[1])
    assert len(costs[1]) <= most, "\n".join(costs[1])
