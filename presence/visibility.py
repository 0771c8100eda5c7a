"""The visibility of presence: which viewer may know what about which user (F113, F147, F156).

The database is asked each time that presence is shown or sent. A viewer may know a user's presence if the viewer is on
the user's contact list, shares a group or channel with the user, or is in a direct chat in which the user has written.
A block between the two, in either direction, hides it at once.
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
    """What a viewer may know of a user: the settings, the stricter devices, the stored last seen of the others.

    `last_shown_at` leaves out each device that hides either: a last seen that moves shows that the user is online.
    """

    shows_online: bool
    shows_last_seen: bool
    devices_hiding_online: frozenset[int]
    devices_hiding_last_seen: frozenset[int]
    last_shown_at: datetime | None


def read_visibility(pairs: Sequence[Pair]) -> dict[Pair, PresenceVisibility]:
    """Return the visibility of each pair of viewer and user; a viewer who may know nothing has no entry. One query."""
    if not pairs:
        return {}
    viewers, users = zip(*pairs, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(VISIBLE, {"viewers": list(viewers), "users": list(users)})
        return {
            (viewer, user): PresenceVisibility(online, seen, frozenset(unseen), frozenset(untimed), shown_at)
            for viewer, user, online, seen, unseen, untimed, shown_at in cursor.fetchall()
        }
