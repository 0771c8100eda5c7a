"""Who may know of whose presence, asked of the database whenever something is shown or sent (F113, F147, F156).

A user's presence is there for people of whom the user would know: who is on the user's own contact list, who is in a
group or channel with the user, and in a direct chat in which the user has written. A block, either way, ends it at once.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

Pair = tuple[int, int]  # viewer, user

# Indexes: the keys of user and privacy, device_by_user, block_unique, contact_unique, member_of_user, member_once,
# message_once.
VISIBLE = """
SELECT w.viewer, u.id, COALESCE(p.show_online_status, true), COALESCE(p.show_last_seen, true),
       ARRAY(SELECT d.id FROM accounts_device d
             WHERE d.user_id = u.id AND d.privacy_overrides ->> 'show_online_status' = 'false'),
       ARRAY(SELECT d.id FROM accounts_device d
             WHERE d.user_id = u.id AND d.privacy_overrides ->> 'show_last_seen' = 'false'),
       (SELECT max(d.last_shown_at) FROM accounts_device d
        WHERE d.user_id = u.id AND (d.privacy_overrides ->> 'show_last_seen') IS DISTINCT FROM 'false'
          AND (d.privacy_overrides ->> 'show_online_status') IS DISTINCT FROM 'false')
FROM unnest(%(viewers)s::bigint[], %(users)s::bigint[]) AS w (viewer, wanted)
JOIN accounts_user u ON u.id = w.wanted AND u.is_active
LEFT JOIN accounts_privacy p ON p.user_id = u.id
WHERE NOT EXISTS (SELECT FROM accounts_block b WHERE b.blocker_id = u.id AND b.blocked_id = w.viewer)
  AND NOT EXISTS (SELECT FROM accounts_block b WHERE b.blocker_id = w.viewer AND b.blocked_id = u.id)
  AND (u.id = w.viewer
       OR EXISTS (SELECT FROM accounts_contact c WHERE c.user_id = u.id AND c.contact_id = w.viewer)
       OR EXISTS (
           SELECT FROM chat_member mine
           JOIN chat_member theirs ON theirs.conversation_id = mine.conversation_id AND theirs.user_id = u.id
            AND theirs.left_seq IS NULL
           JOIN chat_conversation c ON c.id = mine.conversation_id
           WHERE mine.user_id = w.viewer AND mine.left_seq IS NULL
             AND (c.kind <> 'direct' OR EXISTS (
                  SELECT FROM chat_message m WHERE m.conversation_id = c.id AND m.sender_id = u.id))))
"""


class PresenceVisibility(NamedTuple):
    """What a viewer may know: the user's settings, the devices that are stricter, and the last seen of the others.

    A last seen that moves while somebody is here says that they are: it needs both settings, and both of a device.
    """

    shows_online: bool
    shows_last_seen: bool
    devices_hiding_online: frozenset[int]
    devices_hiding_last_seen: frozenset[int]
    last_shown_at: datetime | None


def read_visibility(pairs: Sequence[Pair]) -> dict[Pair, PresenceVisibility]:
    """Return for each viewer and user what may be known; a pair that may know nothing is left out."""
    if not pairs:
        return {}
    viewers, users = zip(*pairs, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(VISIBLE, {"viewers": list(viewers), "users": list(users)})
        return {
            (viewer, user): PresenceVisibility(online, seen, frozenset(unseen), frozenset(untimed), shown_at)
            for viewer, user, online, seen, unseen, untimed, shown_at in cursor.fetchall()
        }
