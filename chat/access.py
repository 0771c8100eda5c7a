"""Access to a conversation: every read and change checks membership here."""

from dataclasses import dataclass

from django.db import connection

from chat.refusals import NotAMember
from gateway.errors import Forbidden
from gateway.ids import ConversationId, UserId

ADMINS = ("owner", "admin")
RIGHTS = {"read": ("owner", "admin", "member"), "manage": ADMINS}

# Index: member_once.
MEMBER = """
SELECT m.conversation_id, m.user_id, m.n, m.role, m.joined_seq, m.read_seq, m.delivered_seq,
       c.kind, c.last_seq, c.rev, c.members_version, c.member_count
FROM chat_member m JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.conversation_id = %(conversation)s AND m.user_id = %(user)s AND m.left_seq IS NULL
"""


@dataclass(frozen=True)
class Membership:
    """A present member's standing in a conversation, as of one read."""

    conversation_id: ConversationId
    user_id: UserId
    n: int
    role: str
    joined_seq: int
    read_seq: int
    delivered_seq: int
    kind: str
    last_seq: int
    rev: int
    members_version: int
    member_count: int


def member_of(user_id: UserId, conversation_id: ConversationId, *, may: str = "read") -> Membership:
    """Return the user's membership with the right `may` ("read" or "manage").

    Raises NotAMember, for what does not exist as well as for what is not theirs, and Forbidden for a lesser role.
    """
    with connection.cursor() as cursor:
        cursor.execute(MEMBER, {"conversation": conversation_id, "user": user_id})
        row = cursor.fetchone()
    if row is None:
        raise NotAMember
    membership = Membership(*row)
    if membership.role not in RIGHTS[may]:
        raise Forbidden("only admins of the conversation may do this")
    return membership
