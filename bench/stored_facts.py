"""Reads stored messages and memberships for the checker from PostgreSQL, without the product's code."""

import psycopg

from bench.checker import Facts, Span, StoredMessage
from bench.history import ClientIds, digest

MESSAGES = """
SELECT conversation_id, seq, rev, client_id::text, sender_id, id, content
FROM chat_message
WHERE conversation_id = ANY(%(chats)s)
"""
MEMBERS = """
SELECT m.conversation_id,
       m.user_id,
       min(CASE WHEN c.shares_history THEN 0 ELSE m.joined_seq END) + 1,
       max(coalesce(m.left_seq, 9000000000000000000))
FROM chat_member m
JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.conversation_id = ANY(%(chats)s)
GROUP BY m.conversation_id, m.user_id
"""


def read_facts(dsn: str, chats: list[int], ids: ClientIds) -> Facts:
    """Return the messages of these conversations and the span that each member may see."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(MESSAGES, {"chats": chats}).fetchall()
        members = connection.execute(MEMBERS, {"chats": chats}).fetchall()
    messages = [
        StoredMessage(chat, seq, rev, ids.number(client), sender, message, digest(content))
        for chat, seq, rev, client, sender, message, content in rows
    ]
    return Facts(messages, {(chat, user): Span(low, high) for chat, user, low, high in members})
