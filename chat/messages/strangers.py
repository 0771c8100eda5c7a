"""Strangers in direct chats: senders who are not in the other's contacts and were never answered (U7). Strangers write less
(F284), and so does, everywhere, who writes to too many people within an hour (F241, `chat.reach`).
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.db import connection

from chat.messages import reach
from gateway.ids import ConversationId, UserId

Pair = tuple[int, int]  # user, conversation
Rows = Callable[[str, Sequence[Any]], Awaitable[list[tuple[Any, ...]]]]
KNOWN_SECONDS = 60.0
KEPT = 100_000

# Indexes: member_once, contact_unique, message_once.
STRANGERS = """
SELECT i.user_id, i.conversation_id,
       NOT EXISTS (
           SELECT FROM accounts_contact contact
           WHERE contact.user_id = other.user_id AND contact.contact_id = i.user_id)
       AND NOT EXISTS (
           SELECT FROM chat_message message
           WHERE message.conversation_id = c.id AND message.sender_id = other.user_id)
FROM unnest(%s::bigint[], %s::bigint[]) AS i (user_id, conversation_id)
JOIN chat_conversation c ON c.id = i.conversation_id AND c.kind = 'direct'
JOIN chat_member other ON other.conversation_id = c.id AND other.user_id <> i.user_id
"""

_known: dict[Pair, float] = {}


async def unknown_pairs(pairs: Sequence[Pair], rows: Rows) -> set[Pair]:
    """Return the pairs in which the user writes as a stranger. A negative answer is cached for a minute, a positive one is not."""
    strange_pairs: set[Pair] = set()
    if unknown := _unknown(pairs):
        users, conversations = zip(*unknown, strict=True)
        direct = await rows(STRANGERS, [list(users), list(conversations)])
        strange_pairs = {(user, conversation) for user, conversation, strange in direct if strange}
        _remember(unknown - strange_pairs)
        if above := await reach.count(reach.uncounted([(user, conversation) for user, conversation, _ in direct])):
            reach.log_flagged(await rows(reach.FLAG, reach.flags(above)))
    return strange_pairs | {pair for pair in pairs if reach.is_slowed(UserId(pair[0]))}


def unknown_pair(user_id: UserId, conversation_id: ConversationId) -> bool:
    """`unknown_pairs` for one pair, from a thread."""
    with connection.cursor() as cursor:
        cursor.execute(STRANGERS, [[user_id], [conversation_id]])
        direct = cursor.fetchall()
        if above := reach.count_in_thread(reach.uncounted([(user_id, conversation_id)] if direct else [])):
            cursor.execute(reach.FLAG, reach.flags(above))
            reach.log_flagged(cursor.fetchall())
    return any(strange for _, _, strange in direct) or reach.is_slowed(user_id)


def _unknown(pairs: Sequence[Pair]) -> set[Pair]:
    now = time.monotonic()
    return {pair for pair in pairs if _known.get(pair, 0.0) < now}


def _remember(pairs: set[Pair]) -> None:
    if len(_known) > KEPT:
        _known.clear()
    until = time.monotonic() + KNOWN_SECONDS
    _known.update(dict.fromkeys(pairs, until))
