"""Sync by revision: all changes in a user's chats since the client's watermarks, in their latest state (protocol 2.4).

State-based: ten edits of a message cost one row. Watermarks are read before the messages, so that nothing can fall
between them; what is sent twice is the same state twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import connection

from accounts.ids import from_wire
from chat.access import member_of
from chat.conversations import queries
from chat.frames import (
    ChatChanged,
    ConversationMember,
    Message,
    MessageDeleted,
    MessageNew,
    MessageUpdated,
    SyncChat,
    SyncRequest,
    SyncResponse,
    Watermark,
)
from chat.ids import MessageId
from chat.messages import history
from chat.read_state import UNREAD, members_of, ticks
from gateway import codec
from gateway.errors import InvalidPayload
from gateway.frames import Viewer
from gateway.ids import ConversationId, UserId

# Every chat of the user against the client's watermark, in one read; where history is not shared, from when they first
# came, for what they were sent before they left and came back is theirs. Indexes: member_of_user, the key of conversation.
STANDINGS = f"""
SELECT c.id, c.last_seq, c.rev,
       GREATEST(w.seq, CASE WHEN c.shares_history THEN 0 ELSE (
           SELECT min(i.joined_seq) FROM chat_member i WHERE i.user_id = me.user_id AND i.conversation_id = c.id) END),
       COALESCE(w.rev, 0), w.seq IS NOT NULL,
       COALESCE(c.settings_rev > w.rev, false) OR COALESCE(me.own_at > now() - interval '7 days', false), {UNREAD}
FROM chat_member me
JOIN chat_conversation c ON c.id = me.conversation_id
LEFT JOIN unnest(%(ids)s::bigint[], %(seqs)s::bigint[], %(revs)s::bigint[]) AS w (id, seq, rev) ON w.id = c.id
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL
  AND (%(only)s::bigint IS NULL OR c.id = %(only)s)
ORDER BY c.last_message_at DESC, c.id DESC
"""  # noqa: S608
# How many messages came since, `most` standing for more too, and whether more than `most` changes did: then not all of
# them are among the last ones that are read.
# Indexes: member_of_user, message_key and message_rev backwards.
LATELY = """
SELECT c.id, lately.seq, c.last_seq - lately.seq, COALESCE(outrun.at >= %(since)s, false),
       CASE WHEN c.changed_at >= %(since)s AND c.settings_rev > 0 THEN c.settings_rev END
FROM chat_member me JOIN chat_conversation c ON c.id = me.conversation_id
CROSS JOIN LATERAL (
    SELECT COALESCE(min(m.seq), c.last_seq + 1) - 1 AS seq FROM chat_message m
    WHERE m.conversation_id = c.id AND m.created_at >= %(since)s AND m.seq > c.last_seq - %(most)s) lately
LEFT JOIN LATERAL (
    SELECT m.updated_at AS at FROM chat_message m
    WHERE m.conversation_id = c.id AND m.changed AND m.rev <= c.rev - %(most)s
    ORDER BY m.rev DESC LIMIT 1) outrun ON true
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL AND GREATEST(c.last_message_at, c.changed_at) >= %(since)s
"""
# Index: member_of_user.
LEFT_LATELY = """
SELECT DISTINCT me.conversation_id FROM chat_member me
WHERE me.user_id = %(viewer)s AND me.left_at >= %(since)s AND NOT EXISTS (
    SELECT FROM chat_member now
    WHERE now.user_id = me.user_id AND now.conversation_id = me.conversation_id AND now.left_seq IS NULL)
"""
# Messages that the viewer recently deleted for themself, in any chat: another device may still have them (F27).
# Index: hiding_once.
HIDDEN = """
SELECT x.conversation_id, x.message_id FROM chat_hiding x
WHERE x.conversation_id = ANY (%(conversations)s) AND x.user_id = %(viewer)s
  AND x.created_at > now() - interval '90 days'
ORDER BY x.id DESC LIMIT %(most)s
"""
# The same since a moment. Indexes: member_of_user, hiding_once.
HIDDEN_LATELY = """
SELECT x.conversation_id, x.message_id, x.seq
FROM chat_member me JOIN chat_hiding x ON x.conversation_id = me.conversation_id AND x.user_id = me.user_id
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL AND x.created_at >= %(since)s
ORDER BY x.id LIMIT %(most)s
"""
# Index: member_of_user.
OWN_LATELY = """
SELECT me.conversation_id FROM chat_member me
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL AND me.own_at >= %(since)s
ORDER BY me.own_at DESC LIMIT %(most)s
"""
# Chats that are up to date are still named, newest first, for the others' marks may have moved (F74).
REFRESHED = 50
REPLAYED = 500
MOST_NAMED = 10_000


def requested(viewer: Viewer, wanted: SyncRequest) -> SyncResponse:
    """Answer a sync request, of the socket or of REST: all chats by watermarks, or one by its last message.

    Raises InvalidPayload where it names neither, NotAMember and NotFound for a message that is not there.
    """
    if wanted.chats is not None:
        if len(wanted.chats) > MOST_NAMED:
            raise InvalidPayload(f"at most {MOST_NAMED} chats", field="chats")
        marks: dict[int, Watermark] = {from_wire(chat, ConversationId): mark for chat, mark in wanted.chats.items()}
        return changes(viewer, marks, limit=wanted.limit)
    if wanted.chat_id is None:
        raise InvalidPayload("chats, or chatId", field="chats")
    chat, last = from_wire(wanted.chat_id, ConversationId), wanted.last_message_id
    member_of(viewer.user_id, chat)
    seq = history.seq_of(viewer.user_id, chat, from_wire(last, MessageId)) if last is not None else 0
    return changes(viewer, {chat: Watermark(seq=seq)}, only=chat, limit=wanted.limit)


class Standing(NamedTuple):
    """Where a chat is, and where the client is in it."""

    id: int
    last_seq: int
    last_rev: int
    seq: int
    rev: int
    named: bool
    altered: bool
    unread: int

    @property
    def behind(self) -> bool:
        return self.last_seq != self.seq or self.last_rev > self.rev or not self.named

    @property
    def missing(self) -> int:
        return max(0, self.last_seq - self.seq)

    @property
    def too_large(self) -> bool:
        """Too much is missing, or the client has messages that this server lost: it must drop its cache."""
        return self.missing > settings.LIMITS.sync_too_large or self.seq > self.last_seq


class Recent(NamedTuple):
    """A row of LATELY: a chat in which something happened since a moment.

    `seq` is the last one before that moment, `new_messages` at most REPLAYED; `settings_rev` is None where the chat's
    settings stayed.
    """

    id: int
    seq: int
    new_messages: int
    too_many_changes: bool
    settings_rev: int | None


class Granted(NamedTuple):
    """A chat that this answer has room for, and how many of its new messages."""

    chat: Standing
    share: int


def changes(
    viewer: Viewer, watermarks: Mapping[int, Watermark], *, only: int | None = None, limit: int | None = None
) -> SyncResponse:
    """Return the changes in the viewer's chats since the watermarks: five queries for any number of chats, and three more
    where a chat's settings have changed, or the viewer's own within the last week.

    At most `limit` new messages, and not many more changed ones than a whole answer has new; a client asks again with its new watermarks while `hasMore`. A chat that misses more than
    500 is `tooLarge`: dropped by the client and loaded over REST (F75).
    """
    standings = _standings(viewer.user_id, watermarks, only)
    behind = [s for s in standings if s.behind]
    going = _grant(behind[: settings.LIMITS.sync_chats], limit or settings.LIMITS.sync_messages)
    # Chats whose preferences changed recently come first: another device may not know of that.
    fresh = [Granted(s, 0) for s in sorted(standings, key=lambda s: not s.altered) if not s.behind][:REFRESHED]
    answered = going + fresh
    members = members_of(viewer, [g.chat.id for g in answered])
    hidden = _hidden(viewer.user_id, [g.chat.id for g in answered])
    altered = queries.conversations(viewer, [g.chat.id for g in answered if g.chat.altered])
    going, changed, newer = _messages(viewer.user_id, going, members)
    answered = going + fresh
    chats = [
        msgspec.structs.replace(
            _chat(g, changed.get(g.chat.id, []), newer.get(g.chat.id, []), members[g.chat.id]),
            chat=altered.get(g.chat.id),
            hidden=hidden.get(g.chat.id, []),
        )
        for g in answered
    ]
    mine = {s.id for s in standings}
    return SyncResponse(
        chats=chats,
        removed=[str(id_) for id_ in watermarks if id_ not in mine and only is None],
        has_more=len(going) < len(behind) or any(chat.has_more for chat in chats),
        cursor=None,
        badges={str(s.id): s.unread for s in standings if s.unread},
    )


def _grant(behind: list[Standing], budget: int) -> list[Granted]:
    """Share the budget of new messages, newest chats first; a chat for which nothing is left waits for the next sync."""
    granted = []
    for standing in behind:
        share = 0 if standing.too_large else min(budget, standing.missing)
        if share or standing.too_large or not standing.missing:
            granted.append(Granted(standing, share))
            budget -= share
    return granted


def _standings(viewer: UserId, watermarks: Mapping[int, Watermark], only: int | None) -> list[Standing]:
    values: dict[str, Any] = {
        "viewer": viewer,
        "ids": list(watermarks),
        "seqs": [w.seq for w in watermarks.values()],
        "revs": [w.rev for w in watermarks.values()],
        "only": only,
    }
    with connection.cursor() as cursor:
        cursor.execute(STANDINGS, values)
        return [Standing(*row) for row in cursor.fetchall()]


Grouped = dict[int, list[Message]]


def _messages(
    viewer: UserId, going: list[Granted], members: Mapping[int, list[ConversationMember]]
) -> tuple[list[Granted], Grouped, Grouped]:
    """Return the older messages that changed, and the newer ones, each by chat in seq order, and the chats of which these
    are all: of the others too many have changed for one answer, so they wait for the next sync.
    """
    wanted = [g for g in going if not g.chat.too_large]
    if not wanted:
        return going, {}, {}
    ids, seqs = [g.chat.id for g in wanted], [g.chat.seq for g in wanted]
    revs, shares, most = [g.chat.rev for g in wanted], [g.share for g in wanted], settings.LIMITS.sync_too_large
    total = settings.LIMITS.sync_messages + most
    states = {id_: ticks(members[id_], viewer) for id_ in ids}
    values = {"conversations": ids, "seqs": seqs, "revs": revs, "limit": most, "total": total}
    changed = history.read(history.CHANGED, viewer, states, **values)
    if len(changed) == total:
        cut = int(changed[-1].chat_id)
        going = going[: [g.chat.id for g in going].index(cut)]
    newer = history.read(history.NEWER, viewer, states, conversations=ids, seqs=seqs, limits=shares)
    return going, _grouped(changed), _grouped(newer)


def _grouped(messages: list[Message]) -> Grouped:
    grouped: Grouped = {}
    for message in messages:
        grouped.setdefault(int(message.chat_id), []).append(message)
    return grouped


def _chat(
    granted: Granted, changed: list[Message], newer: list[Message], members: list[ConversationMember]
) -> SyncChat:
    """Return a chat's part. Fewer messages than granted, or all that are missing, means that its end is reached.

    Until then the client keeps its rev: what is told live meanwhile is a gap to it, and not the next message.
    """
    standing, share = granted
    if standing.too_large or len(changed) >= settings.LIMITS.sync_too_large:
        return _dropped(standing, members)
    more = share < standing.missing and len(newer) == share
    newest = newer[-1].seq if newer else standing.seq
    seq = newest if more else max(standing.last_seq, newest)
    return SyncChat(
        chat_id=str(standing.id),
        messages=changed + newer,
        members=members,
        seq=seq,
        rev=standing.rev if more else standing.last_rev,
        has_more=more,
        too_large=False,
        cursor=str(seq) if more else None,
    )


def _dropped(standing: Standing, members: list[ConversationMember]) -> SyncChat:
    """Return the part of a chat of which too much is missing: the client drops it and loads it over REST (F75)."""
    return SyncChat(
        chat_id=str(standing.id),
        messages=[],
        members=members,
        seq=standing.last_seq,
        rev=standing.last_rev,
        has_more=False,
        too_large=True,
        cursor=None,
    )


def replay(viewer: Viewer, since: datetime) -> list[bytes] | None:
    """Return the frames of all events in the viewer's chats since a time, for a resumed connection; None if there are too many.

    A message that was sent and changed since comes as `message.updated`: the client may have its first state.
    """
    with connection.cursor() as cursor:
        cursor.execute(LATELY, {"viewer": viewer.user_id, "since": since, "most": REPLAYED})
        chats = [Recent(*row) for row in cursor.fetchall()]
    if sum(chat.new_messages for chat in chats) >= REPLAYED or any(chat.too_many_changes for chat in chats):
        return None
    frames = _replayed(viewer, chats, since) if chats else []
    if frames is None:
        return None
    for chat in chats:
        if chat.settings_rev is not None:
            payload = ChatChanged(chat_id=str(chat.id), rev=chat.settings_rev)
            frames.append(Frame(chat.settings_rev, codec.frame("chat.updated", payload)))
    return (
        [frame.bytes for frame in sorted(frames, key=attrgetter("rev"))]
        + _hidden_since(viewer.user_id, since)
        + _own_since(viewer, since)
        + _left_since(viewer.user_id, since)
    )


class Frame(NamedTuple):
    """An encoded frame and the rev that orders it among the others of the replay."""

    rev: int
    bytes: bytes


def _replayed(viewer: Viewer, chats: Sequence[Recent], since: datetime) -> list[Frame] | None:
    ids, seqs = [chat.id for chat in chats], [chat.seq for chat in chats]
    user = viewer.user_id
    states = {id_: ticks(listed, user) for id_, listed in members_of(viewer, ids).items()}
    values = {"conversations": ids, "since": since, "limit": REPLAYED}
    changed = history.read(history.LATELY, user, states, seqs=[2**62] * len(ids), **values)
    newer = history.read(history.NEWER, user, states, conversations=ids, seqs=seqs, limits=[REPLAYED] * len(ids))
    if len(newer) + len(changed) >= REPLAYED:
        return None
    repeated = {m.id for m in changed}
    new = [
        Frame(m.rev, codec.frame("message.new", MessageNew(chat_id=m.chat_id, message=m)))
        for m in newer
        if m.id not in repeated
    ]
    updated = [
        Frame(m.rev, codec.frame("message.updated", MessageUpdated(chat_id=m.chat_id, message=m))) for m in changed
    ]
    return new + updated


def _own_since(viewer: Viewer, since: datetime) -> list[bytes]:
    """Return the frames of the viewer's preferences that changed since a time, on another device."""
    with connection.cursor() as cursor:
        cursor.execute(OWN_LATELY, {"viewer": viewer.user_id, "since": since, "most": REFRESHED})
        chats = queries.conversations(viewer, [id_ for (id_,) in cursor.fetchall()])
    return [codec.frame("chat.updated", ChatChanged(chat_id=chat.id, chat=chat)) for chat in chats.values()]


def _left_since(viewer: UserId, since: datetime) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(LEFT_LATELY, {"viewer": viewer, "since": since})
        gone = [ChatChanged(chat_id=str(id_)) for (id_,) in cursor.fetchall()]
    return [codec.frame("chat.removed", payload) for payload in gone]


def _hidden_since(viewer: UserId, since: datetime) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN_LATELY, {"viewer": viewer, "since": since, "most": REPLAYED})
        rows = cursor.fetchall()
    payloads = [
        MessageDeleted(chat_id=str(chat), message_id=str(id_), seq=seq, rev=None, by=str(viewer))
        for chat, id_, seq in rows
    ]
    return [codec.frame("message.deleted", payload) for payload in payloads]


def _hidden(viewer: UserId, conversations: list[int]) -> dict[int, list[str]]:
    values: dict[str, Any] = {"viewer": viewer, "conversations": conversations, "most": settings.LIMITS.sync_too_large}
    hidden: dict[int, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(HIDDEN, values)
        for conversation_id, message_id in cursor.fetchall():
            hidden.setdefault(conversation_id, []).append(str(message_id))
    return hidden
