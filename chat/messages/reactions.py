"""People react to messages: each with any emoji once, all of them in the message's summary (F21, F22)."""

import re
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from msgspec.structs import replace

from chat.access import member_of
from chat.ids import MessageId
from chat.messages import changes, history
from chat.models import Reaction
from gateway.errors import InvalidPayload
from gateway.ids import ConversationId, UserId

# The emoji of UTS 51, with the code points reserved for later ones; no text matches.
_PICTURE = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u24c2"
    "\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d\u2620\u2622\u2623\u2626\u262a"
    "\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697"
    "\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4"
    "\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733"
    "\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07"
    "\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f004\U0001f0cf\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e"
    "\U0001f191-\U0001f19a\U0001f201\U0001f202\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f250\U0001f251"
    "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7ff\U0001f90c-\U0001faff"
)
_ONE = f"[{_PICTURE}]\ufe0f?[\U0001f3fb-\U0001f3ff]?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
# One emoji: a flag, a keycap, or pictures joined into one.
EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_ONE}(?:\u200d{_ONE})*|[\U0001f3fb-\U0001f3ff]")
LONGEST = 64
SHOWN = 50

# Index: reaction_once.
ADD = """
INSERT INTO chat_reaction (conversation_id, message_id, user_id, emoji)
VALUES (%(conversation)s, %(message)s, %(user)s, %(emoji)s) ON CONFLICT DO NOTHING
"""
# In the order in which the emoji came; the first people of each. Index: reaction_once.
SUMMARY = f"""
SELECT emoji, count(*), (array_agg(user_id ORDER BY id))[1:{SHOWN}]
FROM chat_reaction WHERE conversation_id = %(conversation)s AND message_id = %(message)s
GROUP BY emoji ORDER BY min(id)
"""  # noqa: S608
# Index: reaction_once.
WHO = """
SELECT r.id, r.emoji, r.user_id, u.display_name, r.created_at
FROM chat_reaction r JOIN accounts_user u ON u.id = r.user_id
WHERE r.conversation_id = %(conversation)s AND r.message_id = %(message)s AND r.id > %(after)s
  AND (%(emoji)s::text IS NULL OR r.emoji = %(emoji)s)
ORDER BY r.id LIMIT %(limit)s
"""


class Reacted(NamedTuple):
    """A message's reactions as the message object has them, and its rev."""

    rev: int
    reactions: list[dict[str, Any]]


class Who(NamedTuple):
    """One person's emoji. `id` is the row's, by which pages go on."""

    id: int
    emoji: str
    user_id: UserId
    display_name: str
    created_at: datetime


class People(NamedTuple):
    """A page of who reacted, the first one first; `next` continues it."""

    people: list[Who]
    next: int | None


def add(user_id: UserId, message_id: MessageId, emoji: str) -> Reacted:
    """Add one's emoji to a message; a second time changes nothing. Raises NotFound, NotAMember, InvalidPayload."""
    check(emoji)
    changes.charge(user_id)
    with transaction.atomic():
        message = changes.lock_live_message(user_id, message_id)
        shown = message.reactions or []
        if emoji not in [entry["emoji"] for entry in shown] and len(shown) >= settings.LIMITS.max_reactions:
            raise InvalidPayload(f"at most {settings.LIMITS.max_reactions} different emoji a message", field="emoji")
        if message.blocked_in_direct_chat:
            return Reacted(message.rev, shown)
        return _write_summary(message, emoji, added=True) if _insert(message, emoji) else Reacted(message.rev, shown)


def _insert(message: changes.LockedMessage, emoji: str) -> bool:
    """Insert the user's reaction; return False where it stands already."""
    its = {"conversation": message.conversation_id, "message": message.id, "user": message.user_id}
    with connection.cursor() as cursor:
        cursor.execute(ADD, {**its, "emoji": emoji})
        return bool(cursor.rowcount)


def remove(user_id: UserId, message_id: MessageId, emoji: str) -> Reacted:
    """Take one's emoji away; where there is none nothing changes. Raises NotFound, NotAMember, InvalidPayload."""
    check(emoji)
    changes.charge(user_id)
    with transaction.atomic():
        message = changes.lock_live_message(user_id, message_id)
        its = {"conversation_id": message.conversation_id, "message_id": message.id}
        gone, _ = Reaction.objects.filter(**its, user_id=user_id, emoji=emoji).delete()
        return _write_summary(message, emoji, added=False) if gone else Reacted(message.rev, message.reactions or [])


def check(emoji: str) -> None:
    """Raise InvalidPayload unless the text is one emoji."""
    if len(emoji) > LONGEST or not EMOJI.fullmatch(emoji):
        raise InvalidPayload("one emoji", field="emoji")


def _write_summary(message: changes.LockedMessage, emoji: str, *, added: bool) -> Reacted:
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY, {"conversation": message.conversation_id, "message": message.id})
        summary = [
            {"emoji": emoji, "count": count, "userIds": [str(user) for user in users]}
            for emoji, count, users in cursor.fetchall()
        ]
    rev = changes.write_reactions(message, replace(message.changed("reacted"), emoji=emoji, added=added), summary)
    return Reacted(rev, summary)


def people(viewer: UserId, message_id: MessageId, *, emoji: str | None = None, after: int = 0, limit: int) -> People:
    """Return who reacted to a message, all or with one emoji. Raises NotFound, NotAMember, InvalidPayload."""
    if emoji is not None:
        check(emoji)
    message = history.find(viewer, message_id)
    member_of(viewer, ConversationId(int(message.chat_id)))
    if message.status == "deleted":
        # Its reactions are gone, or a hold keeps them for nobody to see.
        return People([], None)
    values = {"conversation": int(message.chat_id), "message": message_id, "emoji": emoji, "after": after}
    with connection.cursor() as cursor:
        cursor.execute(WHO, {**values, "limit": limit + 1})
        rows = cursor.fetchall()
    kept = [Who(*row) for row in rows[:limit]]
    return People(kept, kept[-1].id if len(rows) > limit else None)
