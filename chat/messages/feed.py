"""The lookups of the gateway's hub: the members of a conversation, and events of messages in their latest state."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper

from chat.events import Change, chat_event, deleted_event, message_event, updated_event
from chat.ids import MessageId
from chat.messages import history
from chat.messages.history import MessageRow
from chat.visibility import skipped
from gateway.bus import Event
from gateway.ids import ConversationId, UserId
from gateway.topics import PAST, Audience, Interval, Known

# `settled` is the last rev before those of the last two seconds: news of these may still be on their way.
# Index: message_key.
_STANDING = """
SELECT c.members_version, COALESCE(lately.rev - 1, c.rev), c.next_n, c.last_seq, m.user_id, m.joined_seq, m.left_seq
FROM chat_conversation c
CROSS JOIN LATERAL (
    SELECT min(recent.rev) AS rev FROM chat_message recent
    WHERE recent.conversation_id = %(conversation)s AND recent.seq > c.last_seq - 100
      AND recent.created_at > now() - interval '2 seconds') lately
"""
# Indexes: member_once for those present, member_past for those who left within the last thousand messages.
AUDIENCE = f"""
{_STANDING}
LEFT JOIN chat_member m ON m.conversation_id = c.id
 AND (m.left_seq IS NULL OR m.left_seq >= c.last_seq - %(past)s)
WHERE c.id = %(conversation)s
ORDER BY m.left_seq NULLS LAST
"""
# Members who joined or left since an earlier read, at which `n` was the next number and `seq` the last message. OFFSET keeps the
# planner from reading all members. Indexes: member_by_n, member_past, member_of_user.
NEWS_OF_MEMBERS = f"""
{_STANDING}
LEFT JOIN LATERAL (
    SELECT own.* FROM (
        SELECT came.user_id FROM chat_member came
        WHERE came.conversation_id = %(conversation)s AND came.n >= %(n)s
        UNION
        SELECT went.user_id FROM chat_member went
        WHERE went.conversation_id = %(conversation)s AND went.left_seq >= %(seq)s) named
    CROSS JOIN LATERAL (
        SELECT i.user_id, i.joined_seq, i.left_seq FROM chat_member i
        WHERE i.user_id = named.user_id AND i.conversation_id = %(conversation)s
          AND (i.left_seq IS NULL OR i.left_seq >= c.last_seq - %(past)s) OFFSET 0) own) m ON true
WHERE c.id = %(conversation)s
ORDER BY m.left_seq NULLS LAST
"""  # noqa: S608
# Conversations of some users in which something happened. Indexes: member_of_user, the key of conversation.
LIVELY = """
SELECT c.id, c.members_version, c.settings_rev, c.changed_at
FROM (SELECT DISTINCT m.conversation_id FROM chat_member m WHERE m.user_id = ANY (%(users)s)) mine
JOIN chat_conversation c ON c.id = mine.conversation_id AND GREATEST(c.last_message_at, c.changed_at) >= %(since)s
"""


class FeedRow(NamedTuple):
    """The columns of an event besides its message's own, in their order."""

    version: int
    changed: bool
    joined_before: int
    updated_at: datetime | None
    skipped: list[int]


# The rows as the hub sends them: for no viewer in particular, the hub chooses the receivers.
ROWS = f"""
SELECT c.members_version, m.changed, CASE WHEN c.shares_history THEN 0 ELSE m.seq END, m.updated_at, {skipped("m")},
       {history.COLUMNS}
WHERE m.conversation_id = %(conversation)s
"""
# Indexes: message_key backwards for what is new, message_rev for what changed.
BY_REV = f"""
{ROWS} AND NOT m.changed AND m.seq > c.last_seq - %(most)s AND m.rev > %(after)s AND m.rev < %(until)s
UNION ALL
{ROWS} AND m.changed AND m.rev > %(after)s AND m.rev < %(until)s
ORDER BY rev
"""
BY_TIME = f"""
{ROWS} AND NOT m.changed AND m.seq > c.last_seq - %(most)s AND m.created_at >= %(since)s
UNION ALL
{ROWS} AND m.changed AND m.rev > c.rev - %(most)s AND m.updated_at >= %(since)s
ORDER BY rev
"""
# Index: message_key.
BY_SEQ = f"{ROWS} AND m.seq BETWEEN %(first)s AND %(last)s ORDER BY m.rev"
# Index: the key of conversation.
SETTINGS = """
SELECT c.members_version, c.settings_rev, c.changed_at FROM chat_conversation c
WHERE c.id = %(conversation)s AND c.settings_rev > %(after)s AND c.settings_rev < %(until)s
"""
# Index: member_of_user.
CHATS = """
SELECT c.id FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.user_id = %(user)s AND m.left_seq IS NULL ORDER BY c.last_message_at DESC, c.id DESC
"""
MOST = 1000


def audience(conversation_id: ConversationId, known: Known | None = None) -> Audience:
    """Return present and recent members, from one read; with `known`, only the members who joined or left since."""
    values: dict[str, Any] = {"conversation": conversation_id, "past": PAST}
    with connection.cursor() as cursor:
        if known is None:
            cursor.execute(AUDIENCE, values)
        else:
            cursor.execute(NEWS_OF_MEMBERS, values | known._asdict())
        rows = cursor.fetchall()
    version, settled, n, seq, *_ = rows[0] if rows else (0, 0, 0, 0)
    members = [Interval(user, joined, left) for _, _, _, _, user, joined, left in rows if user is not None]
    return Audience(version, settled, Known(n, seq), members)


def between(conversation_id: ConversationId, after: int, until: int) -> list[Event]:
    """Return the events of a conversation with `after` < rev < `until`, each in its latest state, in rev order.

    A rev that was made anew since has no event of its own: the later one tells all.
    """
    values = {"conversation": conversation_id, "after": after, "until": until}
    with connection.cursor() as cursor:
        events = _events(cursor, BY_REV, **values)
        cursor.execute(SETTINGS, values)
        events += [chat_event(conversation_id, version=v, rev=rev, late=at) for v, rev, at in cursor.fetchall()]
    return sorted(events, key=lambda event: event.rev)


def by_seq(conversation_id: ConversationId, first: int, last: int) -> list[Event]:
    """Return the events of the messages from seq `first` to `last`, each in its latest state."""
    with connection.cursor() as cursor:
        return _events(cursor, BY_SEQ, conversation=conversation_id, first=first, last=last)


def since(user_ids: list[int], moment: datetime) -> list[Event]:
    """Return the events since a moment in the conversations of these users, about a thousand a conversation at most."""
    all_events: list[Event] = []
    with connection.cursor() as cursor:
        cursor.execute(LIVELY, {"users": user_ids, "since": moment})
        for conversation_id, version, rev, at in cursor.fetchall():
            events = _events(cursor, BY_TIME, conversation=conversation_id, since=moment)
            if rev and at and at >= moment:
                events.append(chat_event(conversation_id, version=version, rev=rev, late=at))
            all_events += sorted(events, key=lambda event: event.rev)
    return all_events


def updated(conversation_id: ConversationId, seq: int) -> Event:
    """Return `message.updated` of a message that was changed in the transaction in progress: one query."""
    with connection.cursor() as cursor:
        ((row, message),) = _rows(cursor, BY_SEQ, conversation=conversation_id, first=seq, last=seq)
    return updated_event(_change(row, message), history.message_of(message, UserId(0)))


def _rows(cursor: CursorWrapper, sql: str, **values: Any) -> list[tuple[FeedRow, MessageRow]]:
    cursor.execute(sql, {"most": MOST, "viewer": 0, **values})
    own = len(FeedRow._fields)
    return [(FeedRow._make(row[:own]), MessageRow._make(row[own:])) for row in cursor.fetchall()]


def _events(cursor: CursorWrapper, sql: str, **values: Any) -> list[Event]:
    return [_event(row, message) for row, message in _rows(cursor, sql, **values)]


def _event(row: FeedRow, message: MessageRow) -> Event:
    """Return the event of a message read back: new, deleted or changed."""
    if not row.changed:
        return message_event(
            history.message_of(message, UserId(0)),
            version=row.version,
            skipped=row.skipped,
            stored_at=message.created_at,
            traceparent=message.traceparent,
        )
    if message.status == "deleted":
        return deleted_event(_change(row, message), message.deleted_by or message.sender_id, late=row.updated_at)
    return updated_event(_change(row, message), history.message_of(message, UserId(0)), late=row.updated_at)


def _change(row: FeedRow, message: MessageRow) -> Change:
    return Change(
        message.conversation_id,
        MessageId(message.id),
        message.seq,
        message.rev,
        row.version,
        row.joined_before,
        row.skipped,
    )


def chats(user_id: UserId) -> list[int]:
    """Return the ids of a user's conversations, the latest message first."""
    with connection.cursor() as cursor:
        cursor.execute(CHATS, {"user": user_id})
        return [chat for (chat,) in cursor.fetchall()]


def epoch() -> str:
    """Return the name of this database's history."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch FROM chat_epoch")
        return str(cursor.fetchone()[0])
