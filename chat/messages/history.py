"""Reads of messages: pages, single ones, changes; always as one user may see them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from chat import links
from chat.access import member_of
from chat.frames import Message, Person, Quote, wire_json, wire_time
from chat.ids import MessageId
from chat.models import Hiding
from chat.read_state import NO_TICKS, Ticks, members_of, ticks
from chat.visibility import VISIBLE, visible
from gateway.errors import NotFound
from gateway.frames import Viewer
from gateway.ids import ConversationId, UserId


class MessageRow(NamedTuple):
    """A message as every statement here reads it: the fields are the columns, in this order."""

    id: int
    conversation_id: ConversationId
    seq: int
    rev: int
    client_id: UUID
    version: int
    sender_id: UserId
    sender_name: str
    content_type: str
    content: str
    data: Any
    reply_to: MessageId | None
    mentions: list[int] | None
    priority: str
    status: str
    created_at: datetime
    edited_at: datetime | None
    last_seen_seq: int | None
    quoted_name: str | None
    quoted_excerpt: str | None
    hidden: bool
    member_count: int
    root: int | None
    replies: int
    last_reply: int | None
    everyone: bool
    reactions: Any
    deleted_by: UserId | None
    attachments: Any
    traceparent: str | None


# Columns that are not simply the message's own.
_EXPRESSIONS = {
    "sender_name": "u.display_name",
    "quoted_name": "q.sender_name",
    "quoted_excerpt": "q.excerpt",
    "member_count": "c.member_count",
    "attachments": "CASE WHEN m.attachments IS NOT NULL THEN chat_attachments(m.attachments) END",
}
# One column list for every read of messages. A quote shows only what its reader may see. Viewer 0 is the hub: its one frame
# goes to all members, so it quotes as the storing function does.
COLUMNS = f"""
    {", ".join(f"{_EXPRESSIONS.get(name, f'm.{name}')} AS {name}" for name in MessageRow._fields)}
FROM chat_message m
JOIN chat_conversation c ON c.id = m.conversation_id
JOIN accounts_user u ON u.id = m.sender_id
LEFT JOIN LATERAL (
    SELECT author.display_name AS sender_name,
           CASE WHEN %(viewer)s = 0
                THEN chat_live_excerpt(quoted.conversation_id, quoted.seq, quoted.sender_id, quoted.content)
                ELSE left(quoted.content, 100) END AS excerpt
    FROM chat_message quoted JOIN accounts_user author ON author.id = quoted.sender_id
    WHERE m.reply_to IS NOT NULL AND quoted.conversation_id = m.conversation_id AND quoted.id = m.reply_to
      AND CASE WHEN %(viewer)s = 0 THEN NOT quoted.hidden ELSE {visible("quoted")} END
    LIMIT 1) q ON true
"""  # noqa: S608

# Index: message_key.
PAGE_BEFORE = f"""
SELECT {COLUMNS}
WHERE m.conversation_id = %(conversation)s AND m.seq < %(edge)s AND {VISIBLE}
ORDER BY m.seq DESC LIMIT %(limit)s
"""
PAGE_AFTER = f"""
SELECT {COLUMNS}
WHERE m.conversation_id = %(conversation)s AND m.seq > %(edge)s AND {VISIBLE}
ORDER BY m.seq LIMIT %(limit)s
"""
# With whether the viewer is a member now. Indexes: message_id, member_once.
BY_ID = f"""
SELECT found.*, EXISTS (
    SELECT FROM chat_member present
    WHERE present.conversation_id = found.conversation_id AND present.user_id = %(viewer)s AND present.left_seq IS NULL)
FROM (SELECT {COLUMNS} WHERE m.id = %(id)s AND {VISIBLE}) found
"""  # noqa: S608
# Several chats at once: each from its own seq, at most `limit` each. Index: message_key.
NEWER = f"""
SELECT newer.* FROM unnest(%(conversations)s::bigint[], %(seqs)s::bigint[], %(limits)s::int[]) AS w (id, seq, most)
CROSS JOIN LATERAL (
    SELECT {COLUMNS}
    WHERE m.conversation_id = w.id AND m.seq > w.seq AND {VISIBLE}
    ORDER BY m.seq LIMIT w.most) newer
"""  # noqa: S608
# Older messages that changed since a rev, in their latest state, at most `total` in the order of the chats. Index:
# message_rev.
CHANGED = f"""
SELECT changed.* FROM unnest(%(conversations)s::bigint[], %(seqs)s::bigint[], %(revs)s::bigint[]) WITH ORDINALITY
     AS w (id, seq, rev, place)
CROSS JOIN LATERAL (
    SELECT {COLUMNS}
    WHERE m.conversation_id = w.id AND m.changed AND m.rev > w.rev AND m.seq <= w.seq AND {VISIBLE}
    ORDER BY m.seq LIMIT %(limit)s) changed
ORDER BY w.place, changed.seq LIMIT %(total)s
"""  # noqa: S608
# Older messages that changed since a moment. Index: message_rev.
LATELY = f"""
SELECT changed.* FROM unnest(%(conversations)s::bigint[], %(seqs)s::bigint[]) AS w (id, seq)
CROSS JOIN LATERAL (
    SELECT {COLUMNS}
    WHERE m.conversation_id = w.id AND m.changed AND m.rev > c.rev - %(limit)s AND m.updated_at >= %(since)s
      AND m.seq <= w.seq AND {VISIBLE}
    ORDER BY m.seq LIMIT %(limit)s) changed
"""  # noqa: S608
# The newest visible message of each conversation. Index: message_key, backwards.
LAST = f"""
SELECT last.* FROM unnest(%(conversations)s::bigint[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT {COLUMNS}
    WHERE m.conversation_id = w.id AND {VISIBLE}
    ORDER BY m.seq DESC LIMIT 1) last
"""  # noqa: S608


class Page(NamedTuple):
    """Messages in seq order; `next_seq` continues in the page's direction."""

    messages: list[Message]
    has_more: bool
    next_seq: int | None


def read(sql: str, viewer: UserId, states: Mapping[int, Ticks] | None = None, **values: Any) -> list[Message]:
    """Run one of this module's queries for `viewer`; `states` are the ticks by conversation."""
    with connection.cursor() as cursor:
        cursor.execute(sql, {"viewer": viewer, **values})
        return [message_of(MessageRow._make(row), viewer, states or {}) for row in cursor.fetchall()]


def page(
    viewer: Viewer,
    conversation_id: ConversationId,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    around: int | None = None,
) -> tuple[Page, str]:
    """Return a page of history and the direction in which it goes on. Raises NotAMember."""
    member_of(viewer.user_id, conversation_id)
    state = ticks(members_of(viewer, [conversation_id])[conversation_id], viewer.user_id)
    if after is not None:
        return page_after(viewer.user_id, conversation_id, after=after, limit=limit, state=state), "after"
    if around is not None:
        before = around + limit // 2 + 1
    return page_before(viewer.user_id, conversation_id, before=before, limit=limit, state=state), "before"


def page_before(
    viewer: UserId, conversation_id: ConversationId, *, before: int | None, limit: int, state: Ticks = NO_TICKS
) -> Page:
    """Return the newest messages below seq `before` (None: the newest of all)."""
    edge = before if before is not None else 2**62
    rows = read(PAGE_BEFORE, viewer, {conversation_id: state}, conversation=conversation_id, edge=edge, limit=limit + 1)
    kept = rows[:limit][::-1]
    return Page(kept, len(rows) > limit, kept[0].seq if len(rows) > limit else None)


def page_after(
    viewer: UserId, conversation_id: ConversationId, *, after: int, limit: int, state: Ticks = NO_TICKS
) -> Page:
    """Return the oldest messages above seq `after`."""
    rows = read(PAGE_AFTER, viewer, {conversation_id: state}, conversation=conversation_id, edge=after, limit=limit + 1)
    kept = rows[:limit]
    return Page(kept, len(rows) > limit, kept[-1].seq if len(rows) > limit else None)


def message_by_id(viewer: Viewer, message_id: MessageId) -> Message:
    """Return one message, with its state where it is the viewer's own. Raises NotFound if the viewer may not see it."""
    row, present = _visible(viewer.user_id, message_id)
    states: dict[int, Ticks] = {}
    if present and row.sender_id == viewer.user_id:
        chat = row.conversation_id
        states[chat] = ticks(members_of(viewer, [chat])[chat], viewer.user_id)
    return _as_seen(row, viewer.user_id, present, states)


def find(user_id: UserId, message_id: MessageId) -> Message:
    """Return one message without its state. Raises NotFound if the user may not see it."""
    row, present = _visible(user_id, message_id)
    return _as_seen(row, user_id, present, {})


def _visible(user_id: UserId, message_id: MessageId) -> tuple[MessageRow, bool]:
    """Return a message's row and whether the user is a member of its conversation now."""
    with connection.cursor() as cursor:
        cursor.execute(BY_ID, {"viewer": user_id, "id": message_id})
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    *columns, present = row
    return MessageRow._make(columns), present


def _as_seen(row: MessageRow, user_id: UserId, present: bool, states: Mapping[int, Ticks]) -> Message:
    """Former members get the message without reactions, replies and receipts."""
    message = message_of(row, user_id, states)
    return message if present else replace(message, reactions=[], reply_count=UNSET, last_reply_seq=UNSET)


def seq_of(viewer: UserId, conversation_id: ConversationId, message_id: MessageId) -> int:
    """Return the seq of a message of that conversation; another device may have deleted it for the viewer meanwhile.

    Raises NotAMember, NotFound.
    """
    member_of(viewer, conversation_id)
    hiding = Hiding.objects.filter(conversation_id=conversation_id, user_id=viewer, message_id=message_id).first()
    if hiding is not None:
        return hiding.seq
    message = find(viewer, message_id)
    if message.chat_id != str(conversation_id):
        raise NotFound
    return message.seq


def message_of(row: MessageRow, viewer: UserId, states: Mapping[int, Ticks] = {}) -> Message:
    """Return a row's message object as `viewer` sees it; `states` are the ticks by conversation."""
    state: str | UnsetType = UNSET
    if row.sender_id == viewer:
        # A message that a block hides stays "sent" (F205), and so does one in a large conversation, which counts no ticks.
        counted = not row.hidden and row.member_count < settings.LIMITS.fanout_threshold
        state = _state(row.seq, states.get(row.conversation_id, NO_TICKS) if counted else NO_TICKS)
    quote = None
    if row.quoted_name is not None:
        quote = Quote(id=str(row.reply_to), sender_name=row.quoted_name, excerpt=row.quoted_excerpt or "")
    return Message(
        id=str(row.id),
        chat_id=str(row.conversation_id),
        seq=row.seq,
        rev=row.rev,
        client_id=str(row.client_id),
        version=row.version,
        sender=Person(id=str(row.sender_id), display_name=row.sender_name),
        content_type=row.content_type,
        content=row.content,
        data=wire_json(row.data),
        reply_to=quote,
        attachments=links.linked(wire_json(row.attachments)),
        mentions=[str(user) for user in row.mentions or ()],
        reactions=wire_json(row.reactions) or [],
        priority=row.priority,
        status=row.status,
        created_at=wire_time(row.created_at) or "",
        edited_at=wire_time(row.edited_at),
        last_seen_seq=row.last_seen_seq,
        thread_id=str(row.root) if row.root else UNSET,
        reply_count=row.replies or UNSET,
        last_reply_seq=row.last_reply if row.last_reply else UNSET,
        mentions_all=row.everyone or UNSET,
        deleted_by=str(row.deleted_by) if row.deleted_by else UNSET,
        state=state,
    )


def _state(seq: int, state: Ticks) -> str:
    if seq <= state.read_seq:
        return "seen"
    return "delivered" if seq <= state.delivered_seq else "sent"
