"""Conversations read back: the list, single ones, unread counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from chat.frames import ConversationMember, ConversationObject, Message, wire_time
from chat.messages import history
from chat.read_state import BLOCKED, MENTIONS, UNREAD, members_of, ticks
from chat.refusals import NotAMember
from gateway.frames import Viewer

# Indexes: member_of_user, draft_once.
CONVERSATIONS = f"""
SELECT c.id, c.kind, c.name, c.topic, c.avatar_url, c.last_seq, c.rev, c.members_version, c.member_count,
       me.pinned_at IS NOT NULL, me.archived_at IS NOT NULL, me.muted_until, c.created_at, c.created_by_id,
       c.last_message_at, c.team_id, c.private, c.shares_history, me.marked_unread, {BLOCKED},
       (SELECT d.text FROM chat_conversationdraft d WHERE d.user_id = me.user_id AND d.conversation_id = c.id),
       {UNREAD}, {MENTIONS}
FROM chat_member me JOIN chat_conversation c ON c.id = me.conversation_id
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL
"""  # noqa: S608
SOME = CONVERSATIONS + " AND c.id = ANY (%(conversations)s)"
ONE = CONVERSATIONS + " AND c.id = %(conversation)s"
# A direct chat with somebody whom the viewer blocks is hidden from the list, not deleted (F204).
LIST = (
    CONVERSATIONS
    + f"""
  AND NOT {BLOCKED}
  AND (me.archived_at IS NOT NULL) = %(archived)s
  AND (%(at)s::timestamptz IS NULL
       OR (me.pinned_at IS NOT NULL, c.last_message_at, c.id) < (%(pinned)s, %(at)s, %(id)s))
ORDER BY me.pinned_at IS NOT NULL DESC, c.last_message_at DESC, c.id DESC LIMIT %(limit)s
"""
)


class Cursor(NamedTuple):
    """Where a page of the list ended."""

    pinned: bool
    at: datetime
    id: int


class Listed(NamedTuple):
    """A page of conversations: the pinned ones (F34), then all others, each newest first."""

    conversations: list[ConversationObject]
    next: Cursor | None


def conversation_list(
    viewer: Viewer, *, after: Cursor | None = None, limit: int = 50, archived: bool = False
) -> Listed:
    """Return a page of the viewer's conversations with last message, members and unread count: three queries.

    The archived ones are a list of their own.
    """
    pinned, at, id_ = after or (False, None, 0)
    values = {"viewer": viewer.user_id, "pinned": pinned, "at": at, "id": id_, "limit": limit + 1, "archived": archived}
    with connection.cursor() as cursor:
        cursor.execute(LIST, values)
        rows = cursor.fetchall()
    kept = rows[:limit]
    following = Cursor(kept[-1][9], kept[-1][14], kept[-1][0]) if len(rows) > limit else None
    return Listed(_objects(viewer, kept), following)


def conversation(viewer: Viewer, conversation_id: int) -> ConversationObject:
    """Return one conversation as the viewer sees it, on the device that asks. Raises NotAMember."""
    with connection.cursor() as cursor:
        cursor.execute(ONE, {"viewer": viewer.user_id, "conversation": conversation_id})
        rows = cursor.fetchall()
    if not rows:
        raise NotAMember
    return _objects(viewer, rows)[0]


def conversations(viewer: Viewer, conversation_ids: Sequence[int]) -> dict[int, ConversationObject]:
    """Return several of the viewer's conversations by id; three queries, none for none."""
    if not conversation_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(SOME, {"viewer": viewer.user_id, "conversations": list(conversation_ids)})
        rows = cursor.fetchall()
    return {int(found.id): found for found in _objects(viewer, rows)}


def unread(viewer: int) -> dict[str, int]:
    """Return the viewer's unread counts by conversation, those above 0."""
    with connection.cursor() as cursor:
        cursor.execute(CONVERSATIONS, {"viewer": viewer})
        return {str(row[0]): row[-2] for row in cursor.fetchall() if row[-2]}


def _objects(viewer: Viewer, rows: Sequence[Sequence[Any]]) -> list[ConversationObject]:
    ids = [row[0] for row in rows]
    members = members_of(viewer, ids)
    states = {id_: ticks(listed, viewer.user_id) for id_, listed in members.items()}
    last = {m.chat_id: m for m in history.read(history.LAST, viewer.user_id, states, conversations=ids)} if ids else {}
    return [_object(row, members[row[0]], last.get(str(row[0]))) for row in rows]


def _object(row: Sequence[Any], members: list[ConversationMember], last: Message | None) -> ConversationObject:
    (id_, kind, name, topic, avatar, seq, rev, version, count, pinned, archived, muted, created_at, created_by,
     _, team, private, shares_history, marked_unread, blocked, draft, unread, mentions) = row  # fmt: skip
    return ConversationObject(
        id=str(id_),
        kind=kind,
        name=name,
        topic=topic,
        avatar_url=avatar,
        team_id=str(team) if team else None,
        seq=seq,
        rev=rev,
        members_version=version,
        member_count=count,
        members=members,
        last_message=last,
        unread_count=unread,
        mention_count=mentions,
        pinned=pinned,
        archived=archived,
        muted_until=wire_time(muted),
        marked_unread=marked_unread,
        blocked=blocked,
        draft=draft,
        private=private,
        shares_history=shares_history,
        created_at=wire_time(created_at) or "",
        created_by=str(created_by),
    )
