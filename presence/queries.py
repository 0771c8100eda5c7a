"""The reads of typing: a typist's name, setting and blocks, and a member's number in a conversation."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from gateway.ids import ConversationId, UserId

# Indexes: the keys of user and privacy, block_by_blocked, block_unique, device_by_user.
TYPIST = """
SELECT u.display_name, COALESCE(p.show_typing, true),
       ARRAY(SELECT b.blocker_id FROM accounts_block b WHERE b.blocked_id = u.id
             UNION SELECT b.blocked_id FROM accounts_block b WHERE b.blocker_id = u.id ORDER BY 1),
       ARRAY(SELECT d.id FROM accounts_device d
             WHERE d.user_id = u.id AND d.privacy_overrides ->> 'show_typing' = 'false')
FROM accounts_user u LEFT JOIN accounts_privacy p ON p.user_id = u.id
WHERE u.id = %(user)s
"""
# Index: member_once.
NUMBER = """
SELECT n FROM chat_member
WHERE conversation_id = %(conversation)s AND user_id = %(user)s AND left_seq IS NULL
"""


class Typist(NamedTuple):
    """A user who types: the name to show, the setting, the users behind a block, and the devices that hide typing."""

    display_name: str
    shown: bool
    hidden_from: list[int]
    devices_hiding: Sequence[int] = ()


def read_typist(user_id: UserId) -> Typist:
    """Return a typist. `hidden_from` are the users with a block between them and the typist, in either direction."""
    with connection.cursor() as cursor:
        cursor.execute(TYPIST, {"user": user_id})
        name, shown, hidden_from, hiding = cursor.fetchone()
        return Typist(name, shown, hidden_from, tuple(hiding))


def read_member_number(user_id: UserId, conversation_id: ConversationId) -> int | None:
    """Return a member's number in a conversation, None if the user is not a member."""
    with connection.cursor() as cursor:
        cursor.execute(NUMBER, {"user": user_id, "conversation": conversation_id})
        row = cursor.fetchone()
        return row[0] if row else None
