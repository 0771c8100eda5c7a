"""What the gateway's hub asks: who is in a conversation, and the events of messages as they now stand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper

from chat.events import changed_event, chat_event, message_event
from chat.messages import history
from gateway.bus import Event
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
# Of those who came or went since somebody looked: `n` was the next number then, `seq` the last message. OFFSET keeps the
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
# Index: hiding_of_message.
HIDERS = """
SELECT seq, array_agg(user_id) FROM chat_hiding
WHERE conversation_id = %(conversation)s AND seq = ANY (%(seqs)s) GROUP BY 1
"""
# Not in a direct chat: there a block hides what is sent while it stands, and nothing else (chat/visibility.py).
BLOCKERS = """
SELECT b.blocked_id, array_agg(b.blocker_id)
FROM accounts_block b JOIN chat_conversation c ON c.id = %(conversation)s AND c.kind <> 'direct'
WHERE b.blocked_id = ANY (%(senders)s) GROUP BY 1
"""
# The rows as the hub sends them: nobody's view in particular, the receivers are chosen there.
ROWS = f"""
SELECT c.members_version, m.changed, CASE WHEN c.shares_history THEN 0 ELSE m.seq END, m.updated_at, {history.COLUMNS}
WHERE m.conversation_id = %(conversation)s
"""
# Indexes: message_key backwards for what is new, message_rev for what changed.
BY_REV = f"""
{ROWS} AND NOT m.changed AND m.seq > c.last_seq - %(most)s AND m.rev > %(after)s AND m.rev < %(until)s
UNION ALL
{ROWS} AND m.changed AND m.rev > %(after)s AND m.rev < %(until)s
ORDER BY 8
"""
BY_TIME = f"""
{ROWS} AND NOT m.changed AND m.seq > c.last_seq - %(most)s AND m.created_at >= %(since)s
UNION ALL
{ROWS} AND m.changed AND m.rev > c.rev - %(most)s AND m.updated_at >= %(since)s
ORDER BY 8
"""
# Index: message_key.
BY_SEQ = f"{ROWS} AND m.seq BETWEEN %(first)s AND %(last)s ORDER BY m.rev"
# Index: the key of conversation.
SETTINGS = """
SELECT c.members_version, c.settings_rev, c.changed_at FROM chat_conversation c
WHERE c.id = %(conversation)s AND c.settings_rev > %(after)s AND c.settings_rev < %(until)s
"""
# Index: member_once.
PRESENT = "SELECT user_id FROM chat_member WHERE conversation_id = %(conversation)s AND left_seq IS NULL"
# Index: member_of_user.
CHATS = """
SELECT c.id FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.user_id = %(user)s AND m.left_seq IS NULL ORDER BY c.last_message_at DESC, c.id DESC
"""
MOST = 1000


def audience(conversation_id: int, known: Known | None = None) -> Audience:
    """Return who is and was lately a member, as of one read; where some are `known`, who came or went since."""
    values: dict[str, Any] = {"conversation": conversation_id, "past": PAST}
    with connection.cursor() as cursor:
        if known is None:
            cursor.execute(AUDIENCE, values)
        else:
            cursor.execute(NEWS_OF_MEMBERS, values | known._asdict())
        rows = cursor.fetchall()
    version, settled, n, seq = rows[0][:4] if rows else (0, 0, 0, 0)
    members = [Interval(*row[4:]) for row in rows if row[4] is not None]
    return Audience(version, settled, Known(n, seq), members)


def between(conversation_id: int, after: int, until: int) -> list[Event]:
    """Return the events of a conversation with `after` < rev < `until`, each in its latest state, in rev order.

    A rev that was made anew since has no event of its own: the later one tells all.
    """
    values = {"conversation": conversation_id, "after": after, "until": until}
    with connection.cursor() as cursor:
        found = _events(cursor, BY_REV, **values)
        cursor.execute(SETTINGS, values)
        found += [chat_event(conversation_id, version=v, rev=rev, late=at) for v, rev, at in cursor.fetchall()]
    return sorted(found, key=lambda event: event.rev)


def by_seq(conversation_id: int, first: int, last: int) -> list[Event]:
    """Return the events of the messages from seq `first` to `last`, each in its latest state."""
    with connection.cursor() as cursor:
        return _events(cursor, BY_SEQ, conversation=conversation_id, first=first, last=last)


def since(user_ids: list[int], moment: datetime) -> list[Event]:
    """Return the events since a moment in the conversations of these users, about a thousand a conversation at most."""
    found: list[Event] = []
    with connection.cursor() as cursor:
        cursor.execute(LIVELY, {"users": user_ids, "since": moment})
        for conversation_id, version, rev, at in cursor.fetchall():
            events = _events(cursor, BY_TIME, conversation=conversation_id, since=moment)
            if rev and at and at >= moment:
                events.append(chat_event(conversation_id, version=version, rev=rev, late=at))
            found += sorted(events, key=lambda event: event.rev)
    return found


def changed_now(conversation_id: int, seq: int, *, reacted: bool = False) -> Event:
    """Return the event of a message that was just changed in the transaction in progress."""
    values = {"conversation": conversation_id, "first": seq, "last": seq}
    with connection.cursor() as cursor:
        (row,) = _rows(cursor, BY_SEQ, **values)
        return _changed(row, _unseeing(cursor, conversation_id, [row])[0], reacted=reacted)


class Row(NamedTuple):
    """A row of ROWS: what the event needs, and the columns of the message."""

    version: int
    changed: bool
    joined_before: int
    updated_at: datetime | None
    columns: tuple[Any, ...]

    @property
    def seq(self) -> int:
        seq: int = self.columns[2]
        return seq

    @property
    def sender(self) -> int:
        sender: int = self.columns[6]
        return sender

    @property
    def hidden(self) -> bool:
        hidden: bool = self.columns[20]
        return hidden


def _rows(cursor: CursorWrapper, sql: str, **values: Any) -> list[Row]:
    cursor.execute(sql, {"most": MOST, "viewer": 0, **values})
    return [Row(row[0], row[1], row[2], row[3], row[4:]) for row in cursor.fetchall()]


def _events(cursor: CursorWrapper, sql: str, *, conversation: int, **values: Any) -> list[Event]:
    rows = _rows(cursor, sql, conversation=conversation, **values)
    unseeing = _unseeing(cursor, conversation, rows)
    return [
        _changed(row, skipped, late=True) if row.changed else _new(row, skipped)
        for row, skipped in zip(rows, unseeing, strict=True)
    ]


def _unseeing(cursor: CursorWrapper, conversation_id: int, rows: Sequence[Row]) -> list[list[int]]:
    """Return for each row who is not told: in groups who blocks its sender, who has deleted it for themself (F27), and all
    others of what a block, also an ended one, hides in a direct chat (F205).
    """
    cursor.execute(BLOCKERS, {"conversation": conversation_id, "senders": list({row.sender for row in rows})})
    blockers: dict[int, list[int]] = dict(cursor.fetchall())
    cursor.execute(HIDERS, {"conversation": conversation_id, "seqs": [row.seq for row in rows]})
    hiders: dict[int, list[int]] = dict(cursor.fetchall())
    others: list[int] = []
    if any(row.hidden for row in rows):
        cursor.execute(PRESENT, {"conversation": conversation_id})
        others = [user for (user,) in cursor.fetchall()]
    return [
        [
            *blockers.get(row.sender, []),
            *hiders.get(row.seq, []),
            *(user for user in others if row.hidden and user != row.sender),
        ]
        for row in rows
    ]


def _new(row: Row, unseeing: list[int]) -> Event:
    message, columns = history.message_of(row.columns, 0), row.columns
    return message_event(
        message, version=row.version, blockers=unseeing, stored_at=columns[15], traceparent=columns[-1]
    )


def _changed(row: Row, unseeing: list[int], *, reacted: bool = False, late: bool = False) -> Event:
    return changed_event(
        history.message_of(row.columns, 0),
        version=row.version,
        blockers=unseeing,
        joined_before=row.joined_before,
        reacted=reacted,
        late=row.updated_at if late else None,
    )


def chats(user_id: int) -> list[int]:
    """Return the ids of a user's conversations, the latest message first."""
    with connection.cursor() as cursor:
        cursor.execute(CHATS, {"user": user_id})
        return [chat for (chat,) in cursor.fetchall()]


def epoch() -> str:
    """Return the name of this database's history."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch FROM chat_epoch")
        return str(cursor.fetchone()[0])
