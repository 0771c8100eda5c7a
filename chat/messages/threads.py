"""Threads: the replies to one message as a list, each reader with a mark of their own in it (F20).

A reply is a message of the conversation like any other, and read there like any other; a thread's mark counts besides.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from chat.access import member_of
from chat.frames import Message
from chat.ids import MessageId
from chat.messages import history
from chat.messages.history import COLUMNS
from chat.read_state import members_of, ticks
from chat.visibility import VISIBLE
from gateway.frames import Viewer
from gateway.ids import ConversationId, UserId

# Index: message_root.
REPLIES = f"""
SELECT {COLUMNS}
WHERE m.conversation_id = %(conversation)s AND m.root = %(root)s AND m.seq > %(after)s AND {VISIBLE}
ORDER BY m.seq LIMIT %(limit)s
"""
# Messages of others in threads above the reader's mark, or since joining; neither deleted nor system messages.
# Indexes: message_root, thread_read_once.
UNREAD = f"""
SELECT w.root, count(m.seq)
FROM unnest(%(roots)s::bigint[]) AS w (root)
JOIN chat_conversation c ON c.id = %(conversation)s
LEFT JOIN chat_threadread t ON t.conversation_id = c.id AND t.root = w.root AND t.user_id = %(viewer)s
LEFT JOIN chat_member me ON me.conversation_id = c.id AND me.user_id = %(viewer)s AND me.left_seq IS NULL
LEFT JOIN chat_message m ON m.conversation_id = c.id AND m.root = w.root
     AND m.seq > GREATEST(t.read_seq, me.joined_seq) AND m.sender_id <> %(viewer)s
     AND m.status <> 'deleted' AND m.content_type <> 'system' AND {VISIBLE}
GROUP BY w.root
"""  # noqa: S608
# Index: thread_read_once.
READ = """
INSERT INTO chat_threadread AS t (conversation_id, root, user_id, read_seq)
SELECT c.id, %(root)s, %(viewer)s, LEAST(%(seq)s, c.last_seq) FROM chat_conversation c WHERE c.id = %(conversation)s
ON CONFLICT (conversation_id, root, user_id) DO UPDATE SET read_seq = EXCLUDED.read_seq
WHERE EXCLUDED.read_seq > t.read_seq
"""
# The threads of a conversation, the latest reply first. Index: message_root.
THREADS = f"""
SELECT m.root, max(m.seq) FROM chat_message m JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.conversation_id = %(conversation)s AND m.root IS NOT NULL AND {VISIBLE}
GROUP BY m.root HAVING max(m.seq) < %(before)s
ORDER BY max(m.seq) DESC LIMIT %(limit)s
"""  # noqa: S608
# Index: message_id.
ROOTS = f"""
SELECT {COLUMNS}
WHERE m.conversation_id = %(conversation)s AND m.id = ANY (%(roots)s) AND {VISIBLE}
"""


class Replies(NamedTuple):
    """A page of a thread in seq order, and how many of all its replies are unread; `next` is the seq to go on after."""

    messages: list[Message]
    unread: int
    next: int | None


class Thread(NamedTuple):
    """A thread as a list of them shows it: its first message, None where the viewer may not see it."""

    id: int
    root: Message | None
    last_seq: int
    unread: int


class Threads(NamedTuple):
    """A page of threads, the latest reply first; `next` is the seq below which it goes on."""

    threads: list[Thread]
    next: int | None


def replies(viewer: Viewer, root_id: MessageId, *, after: int = 0, limit: int) -> Replies:
    """Return the replies of the thread that begins at a message. Raises NotFound, NotAMember."""
    conversation_id = int(history.find(viewer.user_id, root_id).chat_id)
    member_of(viewer.user_id, ConversationId(conversation_id))
    state = ticks(members_of(viewer, [conversation_id])[conversation_id], viewer.user_id)
    values = {"conversation": conversation_id, "root": root_id, "after": after, "limit": limit + 1}
    messages = history.read(REPLIES, viewer.user_id, {conversation_id: state}, **values)
    kept = messages[:limit]
    unread = _unread(viewer.user_id, ConversationId(conversation_id), [root_id])[root_id]
    return Replies(kept, unread, kept[-1].seq if len(messages) > limit else None)


def read(viewer: UserId, root_id: MessageId, seq: int) -> None:
    """Mark a thread as read up to a seq; never moves back, nor above the last message. Raises NotFound, NotAMember."""
    conversation_id = int(history.find(viewer, root_id).chat_id)
    member_of(viewer, ConversationId(conversation_id))
    with connection.cursor() as cursor:
        cursor.execute(READ, {"conversation": conversation_id, "root": root_id, "viewer": viewer, "seq": seq})


def threads(viewer: UserId, conversation_id: ConversationId, *, before: int | None = None, limit: int) -> Threads:
    """Return the threads of a conversation: four queries. Raises NotAMember."""
    member_of(viewer, conversation_id)
    values = {"viewer": viewer, "conversation": conversation_id, "before": before or 2**62, "limit": limit + 1}
    with connection.cursor() as cursor:
        cursor.execute(THREADS, values)
        rows = cursor.fetchall()
    kept = rows[:limit]
    ids = [root for root, _ in kept]
    roots = {int(m.id): m for m in history.read(ROOTS, viewer, conversation=conversation_id, roots=ids)} if ids else {}
    unread = _unread(viewer, conversation_id, ids)
    listed = [Thread(root, roots.get(root), last, unread[root]) for root, last in kept]
    return Threads(listed, listed[-1].last_seq if len(rows) > limit else None)


def _unread(viewer: UserId, conversation_id: ConversationId, roots: Sequence[int]) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(UNREAD, {"viewer": viewer, "conversation": conversation_id, "roots": list(roots)})
        return dict(cursor.fetchall())
