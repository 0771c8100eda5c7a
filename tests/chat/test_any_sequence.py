"""Whatever happens to messages, in whatever order: stale copies converge, and counts are exact.

Random histories from seeds. What the queries say is compared with what a reader of the bare tables would say.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from accounts import blocks
from accounts.models import Block
from chat.conversations import members, queries
from chat.frames import Watermark
from chat.ids import MessageId
from chat.messages import deletions, edits, feed, history, polls, reactions
from chat.models import Conversation, Hiding, Member, Message
from chat.sync import sync
from gateway.bus import Event
from gateway.errors import Refused
from gateway.frames import ALL_DEVICES, Viewer
from gateway.ids import ConversationId, UserId
from receipts.marks import Mark, record_marks
from tests.chat import rows
from tests.clients import Frame
from tests.factories import Someone, direct, draft, group, someone, store
from tests.flows.replica import change, differences, drop, keep, rev_of

SEEDS = range(5)
STEPS = 60
EMOJI = ("👍", "❤️", "🎉")
POLL = {"question": "?", "options": ["a", "b", "c"], "multiple": True}
Deed = Callable[[], Any]


@dataclass
class World:
    """People and a chat, and a source of chance."""

    chance: random.Random
    people: list[Someone]
    chat: int
    polls: list[int] = field(default_factory=list)

    def messages(self) -> list[int]:
        """Return the messages of the last while: the newer, the likelier to be touched."""
        found = Message.objects.filter(conversation_id=self.chat).exclude(content_type="system").order_by("-seq")
        return list(found.values_list("id", flat=True)[:12])

    def send(self) -> None:
        who = self.chance.choice(self.people)
        mentioned = [str(p.id) for p in self.people if self.chance.random() < 0.3]
        words = self.chance.choice(["hello", "@all hello", "see `@all`"])
        if self.chance.random() < 0.2:
            wanted = draft(who, ConversationId(self.chat), "", content_type="poll", data=POLL)
        else:
            quoted = str(self.chance.choice(self.messages() or [1])) if self.chance.random() < 0.4 else None
            wanted = draft(who, ConversationId(self.chat), words, mentions=mentioned, reply_to=quoted)
        (stored,) = store([wanted])
        if stored.outcome == "stored" and wanted.content_type == "poll":
            self.polls.append(stored.id)

    def deeds(self) -> list[Deed]:
        """Return one of each deed on a message, by somebody."""
        who, message = self.chance.choice(self.people).id, self.chance.choice(self.messages() or [1])
        emoji, poll = self.chance.choice(EMOJI), self.chance.choice(self.polls or [1])
        mentions = [p.id for p in self.people if self.chance.random() < 0.3]
        return [
            partial(edits.edit, who, MessageId(message), f"words {self.chance.random()}"),
            partial(edits.edit, who, MessageId(message), "@here now", mentions=mentions),
            partial(reactions.add, who, MessageId(message), emoji),
            partial(reactions.add, who, MessageId(message), emoji),
            partial(reactions.remove, who, MessageId(message), emoji),
            partial(polls.vote, who, MessageId(poll), self.chance.sample(range(3), self.chance.randrange(3))),
            partial(polls.close, who, MessageId(poll)) if self.chance.random() < 0.3 else self.send,
            partial(deletions.delete, who, MessageId(message)),
            partial(deletions.hide, who, MessageId(message)),
        ]

    def comings_and_goings(self) -> list[Deed]:
        owner, who = self.people[0].id, self.chance.choice(self.people[1:]).id
        one, other = self.chance.sample(self.people, 2)
        seq = self.chance.randrange(rows.counters(ConversationId(self.chat))[0] + 1)
        return [
            partial(record_marks, [Mark(one.id, ConversationId(self.chat), seq, seq)]),
            partial(record_marks, [Mark(one.id, ConversationId(self.chat), seq, seq)]),
            partial(blocks.block, one.id, other.id),
            partial(blocks.unblock, one.id, other.id),
            partial(members.remove, owner, ConversationId(self.chat), who),
            partial(members.add, owner, ConversationId(self.chat), who),
            partial(members.add, owner, ConversationId(self.chat), who),
        ]

    def step(self, *, wild: bool) -> None:
        """Let one thing happen; what the rules refuse does not happen."""
        deeds = [self.send] * 6 + self.deeds() + (self.comings_and_goings() if wild else [])
        try:
            self.chance.choice(deeds)()
        except Refused:
            pass


@dataclass
class Copy:
    """What a client holds of the chat: messages by seq, and its watermark."""

    viewer: UserId
    chat: int
    messages: dict[int, Frame] = field(default_factory=dict)
    seq: int = 0
    rev: int = 0

    def load(self) -> "Copy":
        """Take everything afresh."""
        self.seq, self.rev = rows.counters(ConversationId(self.chat))
        page, _ = history.page(Viewer(self.viewer, ALL_DEVICES), ConversationId(self.chat), limit=500)
        self.messages = {message.seq: msgspec.to_builtins(message) for message in page.messages}
        return self

    def sync(self, limit: int) -> None:
        """Bring it up to date as a client does, page by page."""
        more = True
        while more:
            mark = Watermark(seq=self.seq, rev=self.rev)
            (part,) = sync.changes(
                Viewer(self.viewer, ALL_DEVICES), {self.chat: mark}, only=self.chat, limit=limit
            ).chats
            assert not part.too_large
            for message in part.messages:
                keep(self.messages, msgspec.to_builtins(message))
            for hidden in part.hidden:
                drop(self.messages, hidden)
            self.seq, self.rev, more = part.seq, part.rev, part.has_more

    def hear(self, events: list[Event]) -> None:
        """Take events as the hub delivers them: in the order of their revs, a sync where one is missing."""
        for event in events:
            if self.viewer in event.skip_users or not event.rev > self.rev:
                continue
            if event.rev > self.rev + 1:
                self.sync(100)
                continue
            frame = msgspec.json.decode(event.frame)
            if frame["type"] == "message.new":
                keep(self.messages, frame["payload"]["message"])
                self.seq = frame["payload"]["message"]["seq"]
            elif frame["type"] != "chat.updated":
                assert rev_of(frame["payload"]) == event.rev
                change(self.messages, frame["type"], frame["payload"])
            self.rev = event.rev

    def shown(self) -> dict[int, Frame]:
        """Return the messages without what only their sender is told, and without the number of replies where the
        viewer has deleted one for themself: it counts at the root, and a copy that never had it cannot know.
        """
        hidden = Hiding.objects.filter(conversation_id=self.chat, user_id=self.viewer).values_list(
            "message_id", flat=True
        )
        roots = {str(root) for root in Message.objects.filter(id__in=list(hidden)).values_list("root", flat=True)}
        left_out = {True: ("state", "replyCount", "lastReplySeq"), False: ("state",)}
        return {
            seq: {name: value for name, value in m.items() if name not in left_out[m["id"] in roots]}
            for seq, m in sorted(self.messages.items())
        }


def world(seed: int) -> World:
    people = [someone(name) for name in ("Ada", "Bob", "Cem", "Dan")]
    return World(random.Random(seed), people, group(*people))


@pytest.mark.parametrize("seed", SEEDS)
def test_client_with_an_old_watermark_converges_with_a_live_client(seed: int) -> None:
    here = world(seed)
    copies: list[Copy] = []
    for n in range(STEPS):
        here.step(wild=False)
        if n % 6 == 0:
            copies.append(Copy(here.people[n // 6 % 4].id, here.chat).load())

    for n, copy in enumerate(copies):
        copy.sync(limit=1 + n * 3)
        fresh = Copy(copy.viewer, copy.chat).load()
        assert (list(differences(copy.shown(), fresh.shown())), f"copy {n}") == ([], f"copy {n}")
        assert (copy.seq, copy.rev) == (fresh.seq, fresh.rev)


@pytest.mark.parametrize("seed", SEEDS)
def test_live_client_and_client_with_a_gap_converge(seed: int, told: list[Event]) -> None:
    here = world(100 + seed)
    listener = Copy(here.people[1].id, here.chat).load()
    stale: list[Copy] = []
    moment = datetime.now(UTC) - timedelta(hours=1)
    for n in range(STEPS):
        told.clear()
        here.step(wild=False)
        if not (live := [event for event in told if event.conversation_id]):
            # `store` of the factories tells nobody: what was stored comes as the hub fills a gap.
            live = feed.between(
                ConversationId(here.chat), listener.rev, rows.counters(ConversationId(here.chat))[1] + 1
            )
        listener.hear(live)
        hide(listener)
        if n % 10 == 0:
            stale.append(Copy(here.people[2].id, here.chat).load())

    seq, rev = rows.counters(ConversationId(here.chat))
    ways: list[Callable[[Copy], list[Event]]] = [
        lambda copy: feed.between(ConversationId(here.chat), copy.rev, rev + 1),
        lambda copy: [e for e in feed.since([copy.viewer], moment) if e.conversation_id == here.chat],
        lambda copy: sorted(feed.by_seq(ConversationId(here.chat), 1, seq), key=lambda event: event.rev),
    ]
    fresh = Copy(listener.viewer, here.chat).load()
    assert list(differences(listener.shown(), fresh.shown())) == []
    for n, copy in enumerate(stale):
        copy.hear(ways[n % len(ways)](copy))
        copy.sync(100)
        hide(copy)
        fresh = Copy(copy.viewer, here.chat).load()
        assert (list(differences(copy.shown(), fresh.shown())), f"copy {n}") == ([], f"copy {n}")


def hide(copy: Copy) -> None:
    """Drop what the viewer has deleted for themself: a frame to their own devices, outside the conversation's events."""
    hidden = Hiding.objects.filter(conversation_id=copy.chat, user_id=copy.viewer)
    for message_id in hidden.values_list("message_id", flat=True):
        drop(copy.messages, str(message_id))


def counted(viewer: UserId, chat: int) -> tuple[int, int] | None:
    """Count a viewer's unread messages and mentions in the bare tables; None for who is no member."""
    own = Member.objects.filter(conversation_id=chat, user_id=viewer)
    me = own.filter(left_seq=None).first()
    if me is None:
        return None
    kind = Conversation.objects.get(id=chat).kind
    blocked = set(Block.objects.filter(blocker_id=viewer).values_list("blocked_id", flat=True))
    others = set(Member.objects.filter(conversation_id=chat).exclude(user_id=viewer).values_list("user_id", flat=True))
    if kind == "direct" and others & blocked:
        return 0, 0
    hidden = set(Hiding.objects.filter(conversation_id=chat, user_id=viewer).values_list("seq", flat=True))
    unread = [
        m for m in Message.objects.filter(conversation_id=chat, seq__gt=me.read_seq).exclude(sender_id=viewer)
        if m.status != "deleted" and m.content_type != "system" and not m.hidden and m.seq not in hidden
        and m.sender_id not in blocked
    ]  # fmt: skip
    above = Message.objects.filter(conversation_id=chat, seq__gt=me.read_seq, sender_id=viewer)
    assert me.own_above == above.exclude(content_type="system").count()
    return len(unread), sum(m.everyone or viewer in (m.mentions or []) for m in unread)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["group", "direct"])
def test_unread_and_mention_counts_are_exact_after_any_sequence(seed: int, kind: str) -> None:
    here = world(200 + seed)
    if kind == "direct":
        here.people, here.chat = here.people[:2], direct(*here.people[:2])
    for n in range(STEPS):
        here.step(wild=True)
        if n % 4 == 0 or n == STEPS - 1:
            for person in here.people:
                check_counts(person, here.chat, f"seed {seed}, step {n}")


def check_counts(person: Someone, chat: int, where: str) -> None:
    """Assert that the list, the unread counts and the badges of a sync say what the tables say."""
    true = counted(person.id, chat)
    if true is None:
        assert str(chat) not in queries.unread(person.id), where
        return
    listed = queries.conversation(person.viewer, ConversationId(chat))
    assert (listed.unread_count, listed.mention_count) == true, where
    assert queries.unread(person.id).get(str(chat), 0) == true[0], where
    badges = sync.changes(person.viewer, {chat: Watermark(seq=0)}).badges
    assert badges.get(str(chat), 0) == true[0], where
