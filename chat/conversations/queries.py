"""Conversations read back: the list, single ones, unread counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from chat.frames import ConversationMember, ConversationObject, Message, wire_time
from chat.ids import TeamId
from chat.messages import history
from chat.read_state import BLOCKED, MENTIONS, UNREAD, members_of, ticks
from chat.refusals import NotAMember
from gateway.frames import Viewer
from gateway.ids import ConversationId, UserId

_OF_VIEWER = """
FROM chat_member me JOIN chat_conversation c ON c.id = me.conversation_id
WHERE me.user_id = %(viewer)s AND me.left_seq IS NULL
"""
# The columns are the fields of Row, in their order. Indexes: member_of_user, draft_once.
CONVERSATIONS = f"""
SELECT c.id, c.kind, c.name, c.topic, c.avatar_url, c.last_seq, c.rev, c.members_version, c.member_count,
       me.pinned_at IS NOT NULL, me.archived_at IS NOT NULL, me.muted_until, c.created_at, c.created_by_id,
       c.last_message_at, c.team_id, c.private, c.shares_history, me.marked_unread, {BLOCKED},
       (SELECT d.text FROM chat_conversationdraft d WHERE d.user_id = me.user_id AND d.conversation_id = c.id),
       {UNREAD}, {MENTIONS}
{_OF_VIEWER}
"""  # noqa: S608
SOME = CONVERSATIONS + " AND c.id = ANY (%(conversations)s)"
ONE = CONVERSATIONS + " AND c.id = %(conversation)s"
UNREAD_COUNTS = f"SELECT c.id, {UNREAD} {_OF_VIEWER}"
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


class Row(NamedTuple):
    """A row of CONVERSATIONS."""

    id: int
    kind: str
    name: str
    topic: str
    avatar_url: str
    seq: int
    rev: int
    members_version: int
    member_count: int
    pinned: bool
    archived: bool
    muted_until: datetime | None
    created_at: datetime
    created_by: int
    last_message_at: datetime
    team_id: TeamId | None
    private: bool
    shares_history: bool
    marked_unread: bool
    blocked: bool
    draft: str | None
    unread_count: int
    mention_count: int


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
    rows = _rows(LIST, values)
    kept = rows[:limit]
    last = kept[-1] if len(rows) > limit else None
    following = Cursor(last.pinned, last.last_message_at, last.id) if last else None
    return Listed(_objects(viewer, kept), following)


def conversation(viewer: Viewer, conversation_id: ConversationId) -> ConversationObject:
    """Return one conversation as the viewer sees it, on the device that asks. Raises NotAMember."""
    rows = _rows(ONE, {"viewer": viewer.user_id, "conversation": conversation_id})
    if not rows:
        raise NotAMember
    return _objects(viewer, rows)[0]


def conversations(viewer: Viewer, conversation_ids: Sequence[int]) -> dict[int, ConversationObject]:
    """Return several of the viewer's conversations by id; three queries, none for none."""
    if not conversation_ids:
        return {}
    rows = _rows(SOME, {"viewer": viewer.user_id, "conversations": list(conversation_ids)})
    return {int(conversation.id): conversation for conversation in _objects(viewer, rows)}


def unread(viewer: UserId) -> dict[str, int]:
    """Return the viewer's unread counts by conversation, those above 0."""
    with connection.cursor() as cursor:
        cursor.execute(UNREAD_COUNTS, {"viewer": viewer})
        return {str(id_): count for id_, count in cursor.fetchall() if count}


def _rows(sql: str, values: dict[str, Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [Row(*row) for row in cursor.fetchall()]


def _objects(viewer: Viewer, rows: Sequence[Row]) -> list[ConversationObject]:
    ids = [row.id for row in rows]
    members = members_of(viewer, ids)
    states = {id_: ticks(listed, viewer.user_id) for id_, listed in members.items()}
    last = {m.chat_id: m for m in history.read(history.LAST, viewer.user_id, states, conversations=ids)} if ids else {}
    return [_object(row, members[row.id], last.get(str(row.id))) for row in rows]


def _object(row: Row, members: list[ConversationMember], last: Message | None) -> ConversationObject:
    return ConversationObject(
        id=str(row.id),
        kind=row.kind,
        name=row.name,
        topic=row.topic,
        avatar_url=row.avatar_url,
        team_id=str(row.team_id) if row.team_id else None,
        seq=row.seq,
        rev=row.rev,
        members_version=row.members_version,
        member_count=row.member_count,
        members=members,
        last_message=last,
        unread_count=row.unread_count,
        mention_count=row.mention_count,
        pinned=row.pinned,
        archived=row.archived,
        muted_until=wire_time(row.muted_until),
        marked_unread=row.marked_unread,
        blocked=row.blocked,
        draft=row.draft,
        private=row.private,
        shares_history=row.shares_history,
        created_at=wire_time(row.created_at) or "",
        created_by=str(row.created_by),
    )
