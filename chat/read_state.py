"""Members of a conversation with their marks, as far as the viewer may see them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from accounts.privacy import stricter
from chat.frames import ConversationMember
from gateway.frames import Viewer
from gateway.ids import ConversationId, UserId

# Unread is arithmetic (K34): what stands above the member's read_seq, less their own (own_above), less what nobody has to
# read (message_uncounted: hidden by a block, deleted, system messages), less what the member deleted for themself (hiding_once) and, only for
# people who block somebody, less what those wrote in groups.
# A direct chat with somebody whom the viewer blocks is not listed (F204): it counts nothing.
# An expression over `c` (conversation) and `me` (the viewer's member row). Indexes: block_unique, member_once.
_COUNTED = "NOT ({0}.hidden OR {0}.status = 'deleted' OR {0}.content_type = 'system')"
BLOCKED = """(c.kind = 'direct' AND EXISTS (
        SELECT FROM accounts_block b JOIN chat_member o ON o.user_id = b.blocked_id AND o.conversation_id = c.id
        WHERE b.blocker_id = me.user_id))"""
UNREAD = f"""
    CASE WHEN {BLOCKED} THEN 0
    ELSE GREATEST(0, c.last_seq - me.read_seq - me.own_above
     - (SELECT count(*) FROM chat_message h
        WHERE h.conversation_id = c.id AND h.seq > me.read_seq
          AND (h.hidden OR h.status = 'deleted' OR h.content_type = 'system')
          AND (h.content_type = 'system' OR h.sender_id <> me.user_id))
     - (SELECT count(*) FROM chat_hiding x
        JOIN chat_message d ON d.conversation_id = c.id AND d.seq = x.seq AND {_COUNTED.format("d")}
                           AND d.sender_id <> me.user_id
        WHERE x.conversation_id = c.id AND x.user_id = me.user_id AND x.seq > me.read_seq)
     - CASE WHEN c.kind = 'direct' OR NOT EXISTS (
            SELECT FROM accounts_block b WHERE b.blocker_id = me.user_id) THEN 0
       ELSE (SELECT count(*) FROM chat_message w
             WHERE w.conversation_id = c.id AND w.seq > me.read_seq AND {_COUNTED.format("w")}
               AND w.sender_id IN (SELECT b.blocked_id FROM accounts_block b WHERE b.blocker_id = me.user_id)
               AND NOT EXISTS (SELECT FROM chat_hiding x WHERE x.conversation_id = c.id
                               AND x.user_id = me.user_id AND x.seq = w.seq)) END) END
"""  # noqa: S608
# Unread mentions by name, and of everybody, by people whom the viewer does not block. Indexes: mention_once,
# message_everyone.
MENTIONS = f"""
    CASE WHEN {BLOCKED} THEN 0
    ELSE (SELECT count(*) FROM chat_message n
          WHERE n.conversation_id = c.id AND n.seq > me.read_seq AND n.sender_id <> me.user_id
            AND n.seq IN (
                SELECT e.seq FROM chat_mention e
                WHERE e.conversation_id = c.id AND e.user_id = me.user_id AND e.seq > me.read_seq
                UNION SELECT a.seq FROM chat_message a
                WHERE a.conversation_id = c.id AND a.everyone AND a.seq > me.read_seq)
            AND {_COUNTED.format("n")}
            AND NOT EXISTS (SELECT FROM chat_hiding x WHERE x.conversation_id = c.id
                            AND x.user_id = me.user_id AND x.seq = n.seq)
            AND NOT EXISTS (SELECT FROM accounts_block b
                            WHERE b.blocker_id = me.user_id AND b.blocked_id = n.sender_id)) END
"""  # noqa: S608
# The seq up to which others may see that member `m` has read, by the reader's own settings (K8): `p` is their row of
# accounts_privacy. If one of a reader's devices sends no read receipts, only the reads of their other devices count
# (receipts keeps those, by the function's name). A blocked user sees the marks frozen at the time of the block. Whether
# the viewer wants to see any is asked besides. Indexes: device_strict, lane_key.
READ_AS_SHOWN = f"""
    CASE WHEN p.send_read_receipts IS FALSE THEN 0
    WHEN m.user_id IN (SELECT d.user_id FROM accounts_device d WHERE {stricter("d", "send_read_receipts")})
    THEN LEAST(shown_read_seq(m.conversation_id, m.user_id), m.frozen_read_seq)
    ELSE LEAST(m.read_seq, m.frozen_read_seq) END
"""  # noqa: S608
# Members with their marks as the viewer may know them; the viewer's own marks always. A viewer, or the device on which
# they look, may want to see no read marks. All members of small conversations, the viewer and the admins of large ones.
# Indexes: member_once, device_strict.
_LISTED = f"""
SELECT m.conversation_id, m.n, m.user_id, u.display_name, m.role, m.joined_seq,
       CASE WHEN m.user_id = %(viewer)s THEN m.read_seq
            WHEN mine.show_read_receipts IS FALSE
              OR EXISTS (SELECT FROM accounts_device d
                         WHERE d.user_id = %(viewer)s AND (d.id = %(device)s OR %(device)s = 0) AND d.revoked_at IS NULL
                           AND {stricter("d", "show_read_receipts")}) THEN 0
            ELSE {READ_AS_SHOWN} END,
       CASE WHEN m.user_id = %(viewer)s THEN m.delivered_seq ELSE LEAST(m.delivered_seq, m.frozen_delivered_seq) END
FROM chat_member m
JOIN chat_conversation c ON c.id = m.conversation_id
JOIN accounts_user u ON u.id = m.user_id
LEFT JOIN accounts_privacy p ON p.user_id = m.user_id
LEFT JOIN accounts_privacy mine ON mine.user_id = %(viewer)s
WHERE m.left_seq IS NULL
"""  # noqa: S608
MEMBERS = f"""
{_LISTED} AND m.conversation_id = ANY (%(conversations)s)
  AND (c.member_count < %(small)s OR m.user_id = %(viewer)s OR m.role <> 'member')
ORDER BY m.conversation_id, m.n
"""
# Index: member_by_n.
PAGE = f"""
{_LISTED} AND m.conversation_id = %(conversation)s AND m.n > %(after)s
ORDER BY m.n LIMIT %(limit)s
"""
PAGE_SIZE = 100


class Ticks(NamedTuple):
    """How far the others in a small conversation have got, as its viewer may know it."""

    delivered_seq: int
    read_seq: int


NO_TICKS = Ticks(0, 0)


def ticks(members: Iterable[ConversationMember], viewer: UserId) -> Ticks:
    """Return the lowest marks of all others: a message is delivered, or seen, once it is so for everybody."""
    others = [m for m in members if m.user_id != str(viewer)]
    if not others:
        return NO_TICKS
    return Ticks(min(m.delivered_seq for m in others), min(m.read_seq for m in others))


def members_of(viewer: Viewer, conversation_ids: Sequence[int]) -> dict[int, list[ConversationMember]]:
    """Return the members to be listed, by conversation, each with marks as far as the viewer may know them.

    A viewer with `ALL_DEVICES` is shown what all of the user's devices may see.
    """
    values: dict[str, Any] = {
        "viewer": viewer.user_id,
        "device": viewer.device_id,
        "conversations": list(conversation_ids),
        "small": settings.LIMITS.fanout_threshold,
    }
    members: dict[int, list[ConversationMember]] = {id_: [] for id_ in conversation_ids}
    with connection.cursor() as cursor:
        cursor.execute(MEMBERS, values)
        for row in cursor.fetchall():
            listed = _Listed(*row)
            members[listed.conversation_id].append(_member(listed))
    return members


def page(
    viewer: Viewer, conversation_id: ConversationId, *, after: int = 0
) -> tuple[list[ConversationMember], int | None]:
    """Return a page of all members in the order in which they came, after number `after`, and where the next begins."""
    values = {
        "viewer": viewer.user_id,
        "device": viewer.device_id,
        "conversation": conversation_id,
        "after": after,
        "limit": PAGE_SIZE + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(PAGE, values)
        members = [_member(_Listed(*row)) for row in cursor.fetchall()]
    kept = members[:PAGE_SIZE]
    return kept, kept[-1].n if len(members) > len(kept) else None


class _Listed(NamedTuple):
    """A row of MEMBERS and PAGE."""

    conversation_id: ConversationId
    n: int
    user_id: UserId
    display_name: str
    role: str
    joined_seq: int
    read_seq: int
    delivered_seq: int


def _member(row: _Listed) -> ConversationMember:
    return ConversationMember(
        n=row.n,
        user_id=str(row.user_id),
        display_name=row.display_name,
        role=row.role,
        joined_seq=row.joined_seq,
        delivered_seq=row.delivered_seq,
        read_seq=row.read_seq,
    )
